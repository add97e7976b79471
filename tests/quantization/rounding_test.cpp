// The rounding that compensates for itself, against every rounding that there is.
#include <cmath>
#include <limits>

#include "gtest/gtest.h"
#include "quantization/compensated_rounding.h"
#include "quantization/range_search.h"
#include "quantization/ridge_correction.h"
#include "quantization/rounding_refinement.h"
#include "specs.h"

namespace eidolon {
namespace {

constexpr double lowest = -3, highest = 4;

Tensor correlated_metric(int64_t size) {
  const Tensor x = at::mm(at::randn({3 * size, size}, at::kDouble), at::randn({size, size}, at::kDouble)) + 1;
  return at::mm(x.t(), x);
}

double error_of(const Tensor& difference, const Tensor& metric) {
  return difference.dot(at::mv(metric, difference)).item<double>();
}

/// The two candidates of a weight, written without the code under test: by distance among all places.
std::pair<double, double> two_nearest(double weight) {
  std::vector<double> places;
  for (double place = lowest; place <= highest; ++place) places.push_back(place);
  std::sort(places.begin(), places.end(), [&](double a, double b) { return std::abs(a - weight) < std::abs(b - weight); });
  return {places[0], places[1]};
}

double least_error(const Tensor& row, const Tensor& metric) {
  const int64_t size = row.size(0);
  double least = std::numeric_limits<double>::infinity();
  for (int64_t choice = 0; choice < (int64_t{1} << size); ++choice) {
    Tensor difference = -row;
    for (int64_t j = 0; j < size; ++j) {
      const auto [nearest, second] = two_nearest(row[j].item<double>());
      difference[j] += (choice >> j) & 1 ? second : nearest;
    }
    least = std::min(least, error_of(difference, metric));
  }
  return least;
}

struct Refined {
  Tensor weight, metric, places;
};

Refined refine(int64_t rows, int64_t columns, uint64_t seed) {
  at::manual_seed(seed);
  const Tensor weight = at::randn({rows, columns}, at::kDouble) * 2.5, metric = correlated_metric(columns);
  const Tensor ends = at::ones({rows}, at::kDouble);
  return {weight, metric, refined_indices(weight, ends * lowest, ends * highest, metric)};
}

TEST(RoundingRefinement, IsNeverWorseThanNearestNorBetterThanTheBestRounding) {
  int best = 0, rows = 0;
  double nearest_sum = 0, refined_sum = 0, least_sum = 0;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    const Refined r = refine(5, 8, seed);
    for (int64_t i = 0; i < 5; ++i, ++rows) {
      const double nearest = error_of(at::round(r.weight[i]).clamp(lowest, highest) - r.weight[i], r.metric);
      const double refined = error_of(r.places[i] - r.weight[i], r.metric), least = least_error(r.weight[i], r.metric);
      EXPECT_LE(refined, nearest * (1 + 1e-12));
      EXPECT_GE(refined, least * (1 - 1e-12));
      best += refined < least * (1 + 1e-9);
      nearest_sum += nearest;
      refined_sum += refined;
      least_sum += least;
    }
  }
  EXPECT_GE(best, rows / 4) << "of " << rows << " rows";
  EXPECT_LT(refined_sum - least_sum, 0.25 * (nearest_sum - least_sum));
}

/// A metric that no descent can follow gives the nearest places, and not a loop without end.
TEST(RoundingRefinement, EndsOnAMetricOfNoNumbers) {
  const Tensor weight = at::randn({3, 6}, at::kDouble), ends = at::ones({3}, at::kDouble);
  const Tensor places = refined_indices(weight, ends * lowest, ends * highest,
                                        at::full({6, 6}, std::numeric_limits<double>::quiet_NaN(), at::kDouble));
  EXPECT_TRUE(at::equal(places, at::round(weight).clamp(lowest, highest)));
}

TEST(RoundingRefinement, EndsWhereNoSingleChangeHelpsAndWithinTheGrid) {
  const Refined r = refine(6, 40, 11);
  EXPECT_GE(r.places.min().item<double>(), lowest);
  EXPECT_LE(r.places.max().item<double>(), highest);
  for (int64_t i = 0; i < 6; ++i) {
    const Tensor difference = r.places[i] - r.weight[i];
    const double here = error_of(difference, r.metric);
    for (int64_t j = 0; j < 40; ++j) {
      const auto [nearest, second] = two_nearest(r.weight[i][j].item<double>());
      Tensor changed = difference.clone();
      changed[j] += (r.places[i][j].item<double>() == nearest ? second : nearest) - r.places[i][j].item<double>();
      EXPECT_GE(error_of(changed, r.metric), here * (1 - 1e-9));
    }
  }
}

TEST(RoundingRefinement, IsNearestRoundingWhereInputsAreIndependent) {
  at::manual_seed(12);
  const Tensor weight = at::randn({5, 9}, at::kDouble) * 3, ends = at::ones({5}, at::kDouble);
  const Tensor metric = at::diag(at::rand({9}, at::kDouble));
  EXPECT_TRUE(
      at::equal(refined_indices(weight, ends * lowest, ends * highest, metric), at::round(weight).clamp(lowest, highest)));
  const Tensor none = at::zeros({9, 9}, at::kDouble);
  EXPECT_TRUE(
      at::equal(refined_indices(weight, ends * lowest, ends * highest, none), at::round(weight).clamp(lowest, highest)));
}

struct Layer {
  Gram gram;
  Tensor map;
  Quantizer quantizer;
};

Layer layer(int64_t inputs, int64_t outputs, bool symmetric, uint64_t seed) {
  at::manual_seed(seed);
  const Tensor x = at::mm(at::randn({400, inputs}), at::randn({inputs, inputs})) + at::randn({inputs});
  const Tensor weight = at::randn({outputs, inputs}), bias = at::randn({outputs});
  Layer made{empty_gram(inputs, outputs, at::kCPU), affine_map(weight, bias),
             search_range(weight, spec_of(formats::uniform, 3, symmetric, 0))};
  accumulate(made.gram, x, at::linear(x, weight, bias));
  return made;
}

Tensor weights_of(const Tensor& map) {
  return map.narrow(0, 0, map.size(0) - 1).t().to(at::kFloat).contiguous();
}

Tensor nearest_map(const Layer& l) {
  Tensor map = l.map.clone();
  map.narrow(0, 0, map.size(0) - 1).copy_(fake_quantize(weights_of(l.map), l.quantizer).t());
  return map;
}

TEST(CompensatedRounding, EndsOnTheGridSoThatRoundingAgainChangesNoBit) {
  for (const bool symmetric : {false, true}) {
    const Layer l = layer(13, 6, symmetric, 21);
    const Tensor map = compensated_rounding(l.map, regularized(l.gram, 0.01), l.quantizer).rounded;
    const Tensor weight = weights_of(map);
    EXPECT_TRUE(at::equal(fake_quantize(weight, l.quantizer), weight));
    EXPECT_TRUE(at::equal(dequantize(quantize_to_codes(weight, l.quantizer), l.quantizer), weight));
  }
}

TEST(CompensatedRounding, LosesLessThanNearestRounding) {
  for (uint64_t seed = 30; seed < 36; ++seed) {
    const Layer l = layer(48, 10, false, seed);
    const Tensor map = compensated_rounding(l.map, regularized(l.gram, 1e-3), l.quantizer).rounded;
    EXPECT_LT(squared_error(l.gram, map), 0.8 * squared_error(l.gram, nearest_map(l))) << seed;
  }
}

/// With the weights given, the bias alone is free: it must stand at its optimum, where the errors' mean is 0.
TEST(CompensatedRounding, LeavesNoMeanError) {
  const Layer l = layer(13, 6, false, 22);
  const Tensor map = compensated_rounding(l.map, regularized(l.gram, 0.01), l.quantizer).rounded;
  const Tensor mean = (l.gram.outputs - at::mm(l.gram.inputs, map))[13] / 400;
  EXPECT_LT(mean.abs().max().item<double>(), 1e-6);
}

TEST(CompensatedRounding, IsRepeatableToTheBit) {
  const Layer l = layer(48, 10, false, 23);
  const Tensor metric = regularized(l.gram, 0.01);
  const CompensatedMap once = compensated_rounding(l.map, metric, l.quantizer);
  const CompensatedMap again = compensated_rounding(l.map, metric, l.quantizer);
  EXPECT_TRUE(at::equal(once.rounded, again.rounded));
  EXPECT_TRUE(at::equal(once.wanted, again.wanted));
}

}  // namespace
}  // namespace eidolon
