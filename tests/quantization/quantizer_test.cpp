#include "quantization/quantizer.h"

#include <limits>

#include "base/error.h"
#include "gtest/gtest.h"
#include "quantization/range_search.h"
#include "specs.h"

namespace eidolon {
namespace {

Tensor values_for(const QuantizerSpec& spec) {
  at::manual_seed(static_cast<uint64_t>(spec.bits));
  const Tensor noise = at::randn({9, 11, 13});
  return spec.format->has_zero_point ? noise : at::softmax(2 * noise, -1);
}

template <typename Check>
void for_all_specs(Check check) {
  for (const Format* format : integer_formats) {
    for (int64_t bits = 2; bits <= 8; ++bits) {
      for (const int64_t axis : {-1, 0, 2}) {
        for (const bool symmetric : {false, true}) {
          if (symmetric && !format->has_zero_point) continue;
          const QuantizerSpec spec = spec_of(*format, bits, symmetric, axis);
          SCOPED_TRACE(text_of(spec));
          check(spec);
        }
      }
    }
  }
}

TEST(Quantizer, DequantizedCodesAreTheFakeQuantizedValues) {
  for_all_specs([](const QuantizerSpec& spec) {
    const Tensor x = values_for(spec);
    const Quantizer quantizer = search_range(x, spec);
    EXPECT_TRUE(at::equal(dequantize(quantize_to_codes(x, quantizer), quantizer), fake_quantize(x, quantizer)));
  });
}

TEST(Quantizer, CodesAndZeroPointsAreIntegersWithinTheRange) {
  for_all_specs([](const QuantizerSpec& spec) {
    const Tensor x = values_for(spec);
    const Quantizer quantizer = search_range(x, spec);
    const Tensor codes = quantize_to_codes(4 * x, quantizer);
    EXPECT_EQ(codes.scalar_type(), at::kLong);
    EXPECT_GE(codes.min().item<int64_t>(), spec.lowest());
    EXPECT_LE(codes.max().item<int64_t>(), spec.highest());
    EXPECT_TRUE(at::equal(quantizer.zero_point, quantizer.zero_point.round()));
    EXPECT_GE(quantizer.zero_point.min().item<float>(), static_cast<float>(spec.lowest()));
    EXPECT_LE(quantizer.zero_point.max().item<float>(), static_cast<float>(spec.highest()));
  });
}

TEST(Quantizer, SymmetricCodesAreSignedAndOthersUnsigned) {
  const QuantizerSpec symmetric = spec_of(formats::uniform, 4, true), affine = spec_of(formats::uniform, 4, false);
  EXPECT_EQ(symmetric.lowest(), -8);
  EXPECT_EQ(symmetric.highest(), 7);
  EXPECT_EQ(affine.lowest(), 0);
  EXPECT_EQ(affine.highest(), 15);
}

TEST(Quantizer, RoundsByHandComputedExample) {
  const Quantizer quantizer{.spec = spec_of(formats::uniform, 2), .scale = at::full({1}, 0.5f), .zero_point = at::ones({1})};
  const Tensor x = at::tensor({-3.0f, -0.6f, -0.2f, 0.3f, 0.9f, 7.0f});
  EXPECT_TRUE(at::equal(quantize_to_codes(x, quantizer), at::tensor({0, 0, 1, 2, 3, 3}, at::kLong)));
  EXPECT_TRUE(at::equal(fake_quantize(x, quantizer), at::tensor({-0.5f, -0.5f, 0.0f, 0.5f, 1.0f, 1.0f})));
}

TEST(Quantizer, CompandsByHandComputedExample) {
  // One step per octave, innermost step 1, codes 0..7 with zero at 2: values -3, -1, 0, 1, 3, 7, 15, 31.
  const Quantizer quantizer{.spec = spec_of(formats::companded, 3),
                            .scale = at::ones({1}),
                            .zero_point = at::full({1}, 2.0f),
                            .companding = at::ones({1})};
  EXPECT_TRUE(at::equal(dequantize(at::arange(8), quantizer), at::tensor({-3.f, -1.f, 0.f, 1.f, 3.f, 7.f, 15.f, 31.f})));
  const Tensor x = at::tensor({-50.0f, -2.0f, -0.3f, 0.3f, 0.5f, 4.0f, 5.0f, 1000.0f});
  EXPECT_TRUE(at::equal(quantize_to_codes(x, quantizer), at::tensor({0, 0, 2, 2, 3, 4, 5, 7}, at::kLong)));
}

TEST(Quantizer, OfTheRowMaximumCodesEachRowAsIfItWereScaled) {
  const Quantizer quantizer{
      .spec = {.bits = 2, .scaling = of_row_maximum()}, .scale = at::full({1}, 1.0f / 3), .zero_point = at::zeros({1})};
  const Tensor x = at::tensor({0.8f, 0.5f, 0.1f, 0.02f, 0.01f, 0.0f, 0.0f, 0.0f, 0.0f}).view({3, 3});
  const Tensor codes = quantize_to_codes(x, quantizer);
  EXPECT_TRUE(at::equal(codes, at::tensor({3, 2, 0, 3, 2, 0, 0, 0, 0}, at::kLong).view({3, 3})));
  const Tensor maxima = at::tensor({0.8f, 0.02f, 0.0f}).view({3, 1});
  EXPECT_TRUE(at::allclose(fake_quantize(x, quantizer), dequantize(codes, quantizer) * maxima));
}

TEST(Quantizer, TopCodeOfLogSqrt2IsExactlyZero) {
  const Quantizer quantizer{.spec = spec_of(formats::log_sqrt2, 3), .scale = at::ones({1}), .zero_point = at::zeros({1})};
  EXPECT_TRUE(at::equal(dequantize(at::tensor({0, 2, 7}, at::kLong), quantizer), at::tensor({1.0f, 0.5f, 0.0f})));
}

TEST(Quantizer, RefusesToCodeNotANumber) {
  const Quantizer quantizer{.spec = {}, .scale = at::ones({1}), .zero_point = at::zeros({1})};
  EXPECT_THROW(quantize_to_codes(at::full({2}, std::numeric_limits<float>::quiet_NaN()), quantizer), Fault);
}

}  // namespace
}  // namespace eidolon
