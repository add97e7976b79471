#include "quantization/range_search.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "gtest/gtest.h"
#include "specs.h"

namespace eidolon {
namespace {

Tensor channel_errors(const Tensor& x, const Quantizer& quantizer) {
  const Tensor error = (fake_quantize(x, quantizer) - x).to(at::kDouble).square();
  const int64_t axis = quantizer.spec.scaling.axis;
  return axis < 0 ? error.sum().view({1}) : error.movedim(axis, 0).flatten(1).sum(1);
}

/// The quantizer that reaches from the least to the greatest value, the range that the search must not be worse than.
Quantizer of_extremes(const Tensor& x, const QuantizerSpec& spec, bool free_zero_point = false) {
  const int64_t axis = spec.scaling.axis;
  const Tensor rows = axis < 0 ? x.reshape({1, -1}) : x.movedim(axis, 0).flatten(1);
  return fitted({rows.amin(1), rows.amax(1)}, spec, free_zero_point);
}

TEST(RangeSearch, SquaredErrorIsNeverAboveThatOfTheExtremes) {
  at::manual_seed(1);
  const Tensor normal = at::randn({12, 300}), heavy = normal * at::exp(at::randn({12, 300})), positive = heavy.abs();
  for (const Tensor& x : {normal, heavy, positive, heavy + 20}) {
    for (int64_t bits = 2; bits <= 8; ++bits) {
      for (const bool symmetric : {false, true}) {
        for (const int64_t axis : {-1, 0, 1}) {
          for (const bool free_zero_point : {false, true}) {
            for (const Format* format : {&formats::uniform, &formats::companded}) {
              const QuantizerSpec spec = spec_of(*format, bits, symmetric, axis);
              const Tensor searched = channel_errors(x, search_range(x, spec, free_zero_point));
              const Tensor extremes = channel_errors(x, of_extremes(x, spec, free_zero_point));
              EXPECT_TRUE(at::le(searched, extremes * (1 + 1e-9)).all().item<bool>()) << searched << extremes;
            }
          }
        }
      }
    }
  }
}

TEST(RangeSearch, LogFormatsAreNeverWorseThanTheMaximumAsScale) {
  at::manual_seed(2);
  const Tensor x = at::softmax(3 * at::randn({4, 50, 50}), -1);
  for (const Format* format : {&formats::log2, &formats::log_sqrt2}) {
    for (const int64_t bits : {2, 3, 4, 8}) {
      const QuantizerSpec spec = spec_of(*format, bits);
      const double searched = channel_errors(x, search_range(x, spec)).item<double>();
      EXPECT_LE(searched, channel_errors(x, of_extremes(x, spec)).item<double>() * (1 + 1e-9));
    }
  }
}

/// The best of all (low, high) pairs on a fine grid.
double brute_force(const Tensor& x, const QuantizerSpec& spec) {
  const double low = std::min(0.0, x.min().item<double>()), high = std::max(0.0, x.max().item<double>());
  double least = std::numeric_limits<double>::infinity();
  for (int i = 1; i <= 60; ++i) {
    for (int j = 1; j <= 60; ++j) {
      const double scale = (high * j - low * i) / 60.0 / static_cast<double>(spec.highest());
      const double zero_point = std::round(-low * i / 60.0 / scale);
      const Quantizer quantizer{
          .spec = spec, .scale = at::full({1}, scale, at::kFloat), .zero_point = at::full({1}, zero_point, at::kFloat)};
      least = std::min(least, channel_errors(x, quantizer).item<double>());
    }
  }
  return least;
}

TEST(RangeSearch, ComesCloseToTheBestOfAllRanges) {
  at::manual_seed(4);
  for (const int64_t bits : {3, 4, 6}) {
    const Tensor x = at::randn({400});
    const QuantizerSpec spec = spec_of(formats::uniform, bits);
    const double found = channel_errors(x, search_range(x, spec)).item<double>();
    EXPECT_LE(found, 1.15 * brute_force(x, spec)) << bits;
  }
}

TEST(Percentiles, AreThoseOfTheSortedValues) {
  at::manual_seed(6);
  const Tensor sorted = std::get<0>(at::sort(at::randn({1, 50001})));
  Tensor shuffled = sorted.index_select(1, at::randperm(50001));
  const std::vector<Range> ranges = percentiles(shuffled, {0.99, 0.9999, 1.0});
  for (const auto& [range, left_out] :
       std::vector<std::pair<Range, int64_t>>{{ranges[0], 500}, {ranges[1], 5}, {ranges[2], 0}}) {
    EXPECT_EQ(range.low.item<float>(), sorted[0][left_out].item<float>());
    EXPECT_EQ(range.high.item<float>(), sorted[0][50000 - left_out].item<float>());
  }
}

TEST(RangeSearch, EveryChannelIsSearchedOnItsOwn) {
  at::manual_seed(7);
  const Tensor x = at::randn({6, 200}) * at::logspace(-3, 3, 6).view({6, 1});
  const QuantizerSpec of_channels = spec_of(formats::uniform, 4, false, 0), whole = spec_of(formats::uniform, 4);
  const Quantizer together = search_range(x, of_channels);
  for (int64_t channel = 0; channel < 6; ++channel) {
    const Quantizer alone = search_range(x[channel], whole);
    EXPECT_TRUE(at::equal(alone.scale, together.scale.narrow(0, channel, 1)));
    EXPECT_TRUE(at::equal(alone.zero_point, together.zero_point.narrow(0, channel, 1)));
  }
}

TEST(RangeSearch, LongTensorsAreFittedAsWellThinnedAsWhole) {
  at::manual_seed(8);
  // A period of 256 in the layout, with the outliers in one column: a stride that shares factors with it would miss them.
  Tensor x = at::randn({4096, 256});
  x.select(1, 7).mul_(40);
  const QuantizerSpec spec = spec_of(formats::uniform, 4);
  const double searched = channel_errors(x, search_range(x, spec)).item<double>();
  double best = std::numeric_limits<double>::infinity();
  for (double shrink = 1.0; shrink > 0.29; shrink -= 0.02) {
    const Range drawn_in{(x.min() * shrink).view({1}), (x.max() * shrink).view({1})};
    best = std::min(best, channel_errors(x, fitted(drawn_in, spec)).item<double>());
  }
  EXPECT_LE(searched, 1.02 * best);
}

TEST(RangeSearch, FreeZeroPointFollowsARangeFarFromZero) {
  at::manual_seed(9);
  const Tensor x = at::rand({2, 500}) + at::tensor({100.0f, -40.0f}).view({2, 1});
  const QuantizerSpec spec = spec_of(formats::uniform, 4, false, 0);
  const Quantizer found = of_extremes(x, spec, true);
  EXPECT_LT(found.zero_point[0].item<float>(), -1000);
  EXPECT_GT(found.zero_point[1].item<float>(), 500);
  EXPECT_TRUE(at::le((fake_quantize(x, found) - x).abs().amax(1), found.scale * 1.01).all().item<bool>());
}

TEST(RangeSearch, ConstantChannelsGetAFinitePositiveScale) {
  const Tensor x = at::stack({at::zeros({20}), at::full({20}, 5.0f), at::full({20}, -1e6f), at::randn({20})});
  for (const bool symmetric : {false, true}) {
    for (const bool free_zero_point : {false, true}) {
      const QuantizerSpec spec = spec_of(formats::uniform, 4, symmetric, 0);
      const Quantizer companded = search_range(x, spec_of(formats::companded, 4, symmetric, 0));
      EXPECT_TRUE(fake_quantize(x, companded).isfinite().all().item<bool>());
      const Quantizer found = search_range(x, spec, free_zero_point);
      EXPECT_TRUE(at::logical_and(found.scale > 0, found.scale.isfinite()).all().item<bool>());
      EXPECT_TRUE(at::lt(found.zero_point.abs(), 1 << 20).all().item<bool>()) << found.zero_point;
      const Tensor rounded = fake_quantize(x, found);
      EXPECT_TRUE(rounded.isfinite().all().item<bool>());
      EXPECT_TRUE(at::equal(rounded[0], x[0]));
    }
  }
}

TEST(RangeSearch, OneValueIsEnough) {
  const QuantizerSpec spec = spec_of(formats::uniform, 8);
  const Quantizer found = search_range(at::full({1}, 3.0f), spec);
  EXPECT_NEAR(fake_quantize(at::full({1}, 3.0f), found).item<float>(), 3.0f, 1e-5f);
}

TEST(RangeSearch, RefusesNothingAndNotANumber) {
  EXPECT_THROW(search_range(at::empty({0}), {}), Fault);
  EXPECT_THROW(search_range(at::full({3}, std::numeric_limits<float>::quiet_NaN()), {}), Fault);
}

}  // namespace
}  // namespace eidolon
