#include "quantization/ridge_correction.h"

#include "gtest/gtest.h"
#include "quantization/bias_correction.h"

namespace eidolon {
namespace {

struct Problem {
  Tensor x, y, weight, bias;
  Gram gram;
};

/// Inputs with a mean, unequal scales and correlations, and outputs that no affine map of them gives.
Problem problem(int64_t rows, int64_t inputs, int64_t outputs, uint64_t seed) {
  at::manual_seed(seed);
  const at::TensorOptions real(at::kDouble);
  const Tensor x = at::mm(at::randn({rows, inputs}, real), at::randn({inputs, inputs}, real)) + at::randn({inputs}, real);
  const Tensor weight = at::randn({outputs, inputs}, real), bias = at::randn({outputs}, real);
  const Tensor y = at::linear(x, weight, bias) + at::tanh(at::linear(x, at::randn({outputs, inputs}, real)));
  Problem made{x, y, weight, bias, empty_gram(inputs, outputs, at::kCPU)};
  accumulate(made.gram, x, y);
  return made;
}

double largest_difference(const Tensor& a, const Tensor& b) {
  return (a - b).abs().max().item<double>();
}

TEST(Gram, OfPartsIsTheGramOfTheWhole) {
  const Problem p = problem(5000, 6, 4, 1);  // more rows than are converted at a time
  Gram parts = empty_gram(6, 4, at::kCPU);
  for (const auto& [first, count] : {std::pair<int64_t, int64_t>{0, 17}, {17, 4500}, {4517, 483}}) {
    accumulate(parts, p.x.narrow(0, first, count), p.y.narrow(0, first, count));
  }
  EXPECT_TRUE(at::allclose(parts.inputs, p.gram.inputs, 1e-12));
  EXPECT_TRUE(at::allclose(parts.outputs, p.gram.outputs, 1e-12));
  EXPECT_EQ(p.gram.inputs[6][6].item<double>(), 5000);
  EXPECT_EQ(parts.rows, 5000);
}

TEST(Gram, InUnitsIsTheGramOfDividedRows) {
  const Problem p = problem(300, 6, 4, 8);
  const Tensor units = at::rand({300, 1}, at::kDouble) + 0.1;
  Gram gram = empty_gram(6, 4, at::kCPU);
  accumulate(gram, p.x, p.y, units);
  const Tensor error = (p.y - at::linear(p.x, p.weight, p.bias)) / units;
  const double direct = error.square().sum().item<double>();
  EXPECT_NEAR(squared_error(gram, affine_map(p.weight, p.bias)), direct, 1e-8 * direct);
  EXPECT_NEAR(gram.inputs[6][6].item<double>(), units.square().reciprocal().sum().item<double>(), 1e-6);
  EXPECT_EQ(gram.rows, 300);
}

TEST(Gram, KnowsTheSquaredErrorOfAnyMap) {
  const Problem p = problem(300, 6, 4, 2);
  const double direct = (p.y - at::linear(p.x, p.weight, p.bias)).square().sum().item<double>();
  EXPECT_NEAR(squared_error(p.gram, affine_map(p.weight, p.bias)), direct, 1e-8 * direct);
}

/// The penalty written as further rows of the data: sqrt(lambda) W = sqrt(lambda) W_before.
TEST(RidgeCorrection, IsTheDenseLeastSquaresSolutionOfTheAugmentedSystem) {
  for (const double ridge : {1e-3, 0.1, 3.0}) {
    const Problem p = problem(200, 7, 3, 3);
    const Tensor before = affine_map(p.weight, p.bias);
    const double lambda = ridge * p.x.square().mean().item<double>() * (200 + 10 * 7);
    const Tensor a = at::cat({p.x, at::ones({200, 1}, at::kDouble)}, 1);
    const Tensor penalty = at::eye(8, at::kDouble).narrow(0, 0, 7) * std::sqrt(lambda);
    const Tensor left = at::cat({a, penalty}), right = at::cat({p.y, at::mm(penalty, before)});
    const Tensor solution = std::get<0>(at::linalg_lstsq(left, right, std::nullopt, "gelsd"));
    EXPECT_LT(largest_difference(ridge_corrected(p.gram, before, ridge), solution), 1e-9) << ridge;
  }
}

/// All rows in other units are the same data, whose errors count the same among themselves.
TEST(RidgeCorrection, DoesNotChangeWhenAllUnitsDo) {
  const Problem p = problem(200, 7, 3, 9);
  const Tensor before = affine_map(p.weight, p.bias), units = at::rand({200, 1}, at::kDouble) + 0.1;
  const auto corrected = [&](double scale) {
    Gram gram = empty_gram(7, 3, at::kCPU);
    accumulate(gram, p.x, p.y, units * scale);
    return ridge_corrected(gram, before, 0.3);
  };
  const Tensor expected = corrected(1);
  EXPECT_GT(largest_difference(expected, before), 1e-2);
  for (const double scale : {1e-2, 3.0, 50.0}) EXPECT_LT(largest_difference(corrected(scale), expected), 1e-9) << scale;
}

TEST(RidgeCorrection, LowersTheErrorTheMoreTheSmallerThePenalty) {
  const Problem p = problem(200, 7, 3, 4);
  const Tensor before = affine_map(p.weight, p.bias);
  double last = squared_error(p.gram, before);
  for (const double ridge : {10.0, 1.0, 0.1, 0.01}) {
    const double error = squared_error(p.gram, ridge_corrected(p.gram, before, ridge));
    EXPECT_LT(error, last) << ridge;
    last = error;
  }
}

TEST(RidgeCorrection, LeavesTheWeightsOfDeadInputsAlone) {
  Problem p = problem(200, 7, 3, 5);
  p.x.select(1, 2).zero_();
  Gram gram = empty_gram(7, 3, at::kCPU);
  accumulate(gram, p.x, p.y);
  const Tensor before = affine_map(p.weight, p.bias), after = ridge_corrected(gram, before, 1e-4);
  EXPECT_TRUE(after.isfinite().all().item<bool>());
  EXPECT_LT(largest_difference(after[2], before[2]), 1e-12);
  EXPECT_GT(largest_difference(after[3], before[3]), 1e-3);

  Gram nothing = empty_gram(7, 3, at::kCPU);
  accumulate(nothing, at::zeros({9, 7}, at::kDouble), at::ones({9, 3}, at::kDouble));
  const Tensor constant = ridge_corrected(nothing, before, 0.1);
  EXPECT_LT(largest_difference(constant.narrow(0, 0, 7), before.narrow(0, 0, 7)), 1e-12);
  EXPECT_LT(largest_difference(constant[7], at::ones({3}, at::kDouble)), 1e-12);
}

TEST(BiasCorrection, MakesTheMeanOfEveryOutputThatOfTheWanted) {
  const Problem p = problem(200, 7, 3, 6);
  const Tensor corrected = bias_corrected(p.gram, affine_map(p.weight + 0.3, p.bias));
  const Tensor given = at::mm(p.x, corrected.narrow(0, 0, 7)) + corrected[7];
  EXPECT_LT(largest_difference(given.mean(0), p.y.mean(0)), 1e-10);
  EXPECT_TRUE(at::equal(corrected.narrow(0, 0, 7), affine_map(p.weight + 0.3, p.bias).narrow(0, 0, 7)));
}

/// By outputs, row by row, and by the whole second moments, which know the mean too.
TEST(BiasCorrection, FromSumsOfTheInputsIsTheMeanOfTheOutputsErrors) {
  for (const bool in_units : {false, true}) {
    const Problem p = problem(9000, 7, 3, 10);  // more rows than are converted at a time
    const Tensor rounded = p.x + 0.2 * at::rand_like(p.x), rounded_weight = p.weight + 0.1 * at::rand_like(p.weight);
    const Tensor units = in_units ? at::rand({9000, 1}, at::kDouble) + 0.1 : Tensor();
    const Tensor exact_outputs = at::linear(p.x, p.weight, p.bias);

    InputSums sums = empty_sums(7, at::kCPU);
    for (const auto& [first, count] : {std::pair<int64_t, int64_t>{0, 17}, {17, 8983}}) {
      const auto rows = [&](const Tensor& t) { return t.defined() ? t.narrow(0, first, count) : t; };
      accumulate(sums, rows(p.x), rows(rounded), rows(units));
    }
    const Tensor missing = mean_error(sums, p.weight, rounded_weight);

    const Tensor weights = in_units ? units.square().reciprocal() : at::ones({9000, 1}, at::kDouble);
    const Tensor errors = exact_outputs - at::linear(rounded, rounded_weight, p.bias);
    EXPECT_LT(largest_difference(missing, (errors * weights).sum(0) / weights.sum()), 1e-10) << in_units;

    Gram gram = empty_gram(7, 3, at::kCPU);
    accumulate(gram, rounded, exact_outputs, units);
    const Tensor before = affine_map(rounded_weight, p.bias);
    EXPECT_LT(largest_difference(p.bias + missing, bias_corrected(gram, before)[7]), 1e-10) << in_units;
  }
}

}  // namespace
}  // namespace eidolon
