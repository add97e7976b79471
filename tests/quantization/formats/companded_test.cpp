#include "gtest/gtest.h"
#include "quantization/range_search.h"
#include "tests/quantization/specs.h"

namespace eidolon {
namespace {

double error_of(const Tensor& x, const Format& format, int64_t bits) {
  const Quantizer quantizer = search_range(x, spec_of(format, bits));
  return (fake_quantize(x, quantizer) - x).square().mean().item<double>();
}

/// What a GELU gives on inputs of a heavy tail.
Tensor gelu_values() {
  at::manual_seed(3);
  return at::gelu(at::randn({60000}) * at::exp(at::randn({60000})));
}

TEST(Companding, CodesJustReachTheRange) {
  const Range range{at::tensor({-0.17f, -3.0f, 0.0f, 0.5f}), at::tensor({12.0f, 0.0f, 1.0f, 2.0f})};
  for (const int64_t bits : {3, 4, 6, 8}) {
    const QuantizerSpec spec = spec_of(formats::companded, bits, false, 0);
    const std::vector<Quantizer> fits = formats::companded.fits(range, spec, false);
    EXPECT_EQ(fits.size(), 5U);
    for (const Quantizer& quantizer : fits) {
      const double steps = quantizer.companding[0].item<double>();
      const auto reached = [&](int64_t code) { return dequantize(at::full({4, 1}, code), quantizer).view({4}); };
      // The zero point is rounded, which moves either end by at most half a step of m to the octave.
      const double half_step = std::exp2(0.5 / steps) * 1.0001;
      const Tensor low = range.low.clamp_max(0), high = range.high.clamp_min(0);
      EXPECT_TRUE(at::le(high - reached(spec.highest()), (high + quantizer.scale) * (half_step - 1)).all().item<bool>());
      EXPECT_TRUE(at::le(reached(spec.lowest()) - low, (quantizer.scale - low) * (half_step - 1)).all().item<bool>());
      EXPECT_TRUE(at::le(reached(spec.highest()), (high + quantizer.scale) * half_step).all().item<bool>());
    }
  }
}

TEST(Companding, SymmetricCodesReachTheFartherSide) {
  const Quantizer quantizer =
      fitted({at::tensor({-7.0f}), at::tensor({2.0f})}, spec_of(formats::companded, 4, /*symmetric=*/true));
  EXPECT_EQ(quantizer.companding.item<float>(), 2);
  EXPECT_EQ(quantizer.zero_point.item<float>(), 0);
  EXPECT_NEAR(dequantize(at::full({1}, -8), quantizer).item<float>(), -7, 1e-4);
}

TEST(Companding, FitsGeluOutputsSeveralTimesBetterThanEvenSteps) {
  const Tensor x = gelu_values();
  for (const int64_t bits : {3, 4, 6, 8}) {
    EXPECT_LT(error_of(x, formats::companded, bits), 0.4 * error_of(x, formats::uniform, bits)) << bits;
  }
}

/// All scales, zero points and curvatures on a fine grid.
TEST(Companding, ComesCloseToTheBestOfAllParameters) {
  const Tensor x = gelu_values().slice(0, 0, 4000);
  const QuantizerSpec spec = spec_of(formats::companded, 4);
  double least = 1e30;
  for (double scale = 0.01; scale < 2; scale *= 1.15) {
    for (double steps = 0.7; steps < 6; steps *= 1.15) {
      for (int zero = 0; zero < 8; ++zero) {
        const Quantizer candidate{.spec = spec,
                                  .scale = at::full({1}, scale, at::kFloat),
                                  .zero_point = at::full({1}, zero, at::kFloat),
                                  .companding = at::full({1}, steps, at::kFloat)};
        least = std::min(least, (fake_quantize(x, candidate) - x).square().mean().item<double>());
      }
    }
  }
  EXPECT_LT(error_of(x, formats::companded, 4), 1.5 * least);
}

}  // namespace
}  // namespace eidolon
