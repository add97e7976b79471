#include "finetuning/importance.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/finetuning/setting.h"
#include "tests/numerics/differences.h"

namespace eidolon {
namespace {

struct Outputs {
  Network teacher = small_model().to(at::kCPU, at::kDouble);
  Tensor exact, output;  ///< of block 0

  Outputs() {
    at::manual_seed(5);
    exact = at::randn({1, 5, 16}, at::kDouble);
    output = exact + 0.3 * at::randn({1, 5, 16}, at::kDouble);
  }
  /// Written out anew: KL in nats at a temperature of 20, of what block 1 and the head make of the tokens.
  Tensor divergence(const Tensor& tokens) const {
    const auto classes = [&](const Tensor& x) {
      return at::softmax(forward_section(teacher, 3, forward_section(teacher, 2, x)) / 20, -1);
    };
    const Tensor p = classes(exact), q = classes(tokens);
    return (p * (p / q).log()).sum();
  }
};

TEST(OutputSensitivity, IsTheGradientOfTheDivergence) {
  const Outputs at;
  const auto divergence = [&](const Tensor& tokens) { return at.divergence(tokens); };
  const Tensor differences = testing::central_differences(divergence, at.output, 1e-5);
  const Tensor sensitivity = output_sensitivity(at.teacher, 1, at.exact, at.output);
  const double largest = differences.abs().max().item<double>();
  EXPECT_GT(largest, 1e-6);
  EXPECT_TRUE(at::allclose(sensitivity, differences, 0, 1e-5 * largest)) << sensitivity << '\n' << differences;
}

TEST(OutputSensitivity, OfAShiftOfAllChannelsOfATokenIsNothing) {
  const Outputs at;
  const Tensor sensitivity = output_sensitivity(at.teacher, 1, at.exact, at.output);
  EXPECT_LT(sensitivity.sum(-1).abs().max().item<double>(), 1e-10 * sensitivity.abs().max().item<double>());
}

TEST(OutputSensitivity, OfTheLastBlockLiesInTheClassToken) {
  const Outputs at;
  const Tensor sensitivity = output_sensitivity(at.teacher, 2, at.exact, at.output);
  EXPECT_GT(sensitivity.select(1, 0).abs().max().item<double>(), 0);
  EXPECT_EQ(sensitivity.narrow(1, 1, 4).abs().max().item<double>(), 0);
}

TEST(WeightedSquare, IsTheSumOfTheWeightedSquares) {
  at::manual_seed(2);
  const Tensor error = at::randn({3, 4, 2}, at::kDouble), importance = at::rand({4, 2}, at::kDouble);
  double plain = 0, weighted = 0;
  for (int64_t b = 0; b < 3; ++b) {
    for (int64_t t = 0; t < 4; ++t) {
      for (int64_t c = 0; c < 2; ++c) {
        const double e = error[b][t][c].item<double>();
        plain += e * e;
        weighted += importance[t][c].item<double>() * e * e;
      }
    }
  }
  EXPECT_NEAR(weighted_square({}, error).item<double>(), plain, 1e-12);
  EXPECT_NEAR(weighted_square(importance, error).item<double>(), weighted, 1e-12);
}

struct MeasuredImportance : ::testing::Test {
  Setting setting;
  Prefix inputs{setting.student.model, quantizing_tap(setting.student), setting.images, setting.preprocessing, plenty};
  Prefix targets{setting.teacher, {}, setting.images, setting.preprocessing, plenty};

  Tensor of(int section, bool token_units) {
    inputs.advance_to(section);
    targets.advance_to(section + 1);
    return measure_importance(setting.models(), setting.images, setting.communicator, section,
                              {.inputs = inputs, .targets = targets, .token_units = token_units});
  }
  Tensor calibrated_error(int section) const {
    const Tensor rows = at::arange(16, at::kLong);
    return forward_section(setting.calibrated.model, section, inputs.rows(rows), quantizing_tap(setting.calibrated)) -
           targets.rows(rows);
  }
};

TEST_F(MeasuredImportance, IsTheGradientsMeanSizeScaledToAMeanOfOne) {
  const Tensor importance = of(1, /*token_units=*/false);
  const Tensor exact = targets.rows(at::arange(16, at::kLong));
  Tensor expected = output_sensitivity(setting.teacher, 1, exact, exact + calibrated_error(1)).abs().mean(0);
  expected = expected / expected.mean();
  EXPECT_TRUE(at::allclose(importance, expected, 1e-3, 1e-4));
  EXPECT_NEAR(importance.mean().item<double>(), 1.0, 1e-5);
  EXPECT_GT(importance.std().item<double>(), 0.1);
}

TEST_F(MeasuredImportance, InTokenUnitsIsPerDeviationOfAToken) {
  const Tensor importance = of(1, /*token_units=*/true);
  const Tensor exact = targets.rows(at::arange(16, at::kLong));
  Tensor expected = output_sensitivity(setting.teacher, 1, exact, exact + calibrated_error(1)).abs();
  expected = (expected * (exact - exact.mean(-1, true)).square().mean(-1, true).sqrt()).mean(0);
  EXPECT_TRUE(at::allclose(importance, expected / expected.mean(), 1e-3, 1e-4));
}

}  // namespace
}  // namespace eidolon
