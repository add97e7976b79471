// The number formats of hardware against references written from their specifications
// (scripts/references/make_format_references.py).
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "base/error.h"
#include "quantization/range_search.h"
#include "storage/safetensors.h"
#include "tests/places.h"

namespace eidolon {
namespace {

const TensorMap& references() {
  static const TensorMap tensors = read_safetensors(testing::test_data() / "quantization" / "formats.safetensors").tensors;
  return tensors;
}

const std::vector<const Format*>& float_formats() {
  static const std::vector<const Format*> formats{&formats::e4m3, &formats::e5m2, &formats::e3m2, &formats::e2m3,
                                                  &formats::e2m1};
  return formats;
}

QuantizerSpec spec_of(const Format& format, const Scaling& scaling = per_tensor) {
  return {.format = &format, .bits = format.fixed_bits > 0 ? format.fixed_bits : 4, .scaling = scaling};
}

Quantizer at_scale_one(const Format& format) {
  return {.spec = spec_of(format), .scale = at::ones({1}), .zero_point = at::zeros({1})};
}

/// Equal bits, which tells -0 from 0.
bool same_bits(const Tensor& a, const Tensor& b) {
  return at::equal(a, b) && at::equal(at::signbit(a), at::signbit(b));
}

TEST(FloatFormats, RoundAsTheirSpecificationSays) {
  for (const Format* format : float_formats()) {
    const Tensor inputs = references().at(format->name + ".inputs"), values = references().at(format->name + ".values");
    const Quantizer quantizer = at_scale_one(*format);
    EXPECT_TRUE(same_bits(fake_quantize(inputs, quantizer), values)) << format->name;
    EXPECT_TRUE(same_bits(fake_quantize(inputs.to(at::kDouble), quantizer), values.to(at::kDouble))) << format->name;
    EXPECT_TRUE(at::equal(quantize_to_codes(inputs, quantizer), references().at(format->name + ".codes"))) << format->name;
  }
}

TEST(FloatFormats, EveryBitPatternIsTheValueOfItsFields) {
  struct Fields {
    const Format* format;
    int mantissa, bias, last;
  };
  for (const auto& [format, mantissa, bias, last] :
       {Fields{&formats::e4m3, 3, 7, 0x7E}, Fields{&formats::e5m2, 2, 15, 0x7B}, Fields{&formats::e3m2, 2, 3, 0x1F},
        Fields{&formats::e2m3, 3, 1, 0x1F}, Fields{&formats::e2m1, 1, 1, 0x7}}) {
    const Tensor values = dequantize(at::arange(last + 1, at::kLong), at_scale_one(*format));
    for (int pattern = 0; pattern <= last; ++pattern) {
      const int exponent = pattern >> mantissa, fraction = pattern & ((1 << mantissa) - 1);
      const double whole = exponent == 0 ? fraction : fraction + (1 << mantissa);
      const double expected = std::ldexp(whole, std::max(exponent, 1) - bias - mantissa);
      EXPECT_EQ(values[pattern].item<double>(), expected) << format->name << " pattern " << pattern;
    }
    EXPECT_EQ(format->highest_value, values[last].item<double>()) << format->name;
    const Tensor negative =
        dequantize(at::arange(last + 1, at::kLong) + (1 << (format->fixed_bits - 1)), at_scale_one(*format));
    EXPECT_TRUE(same_bits(negative, -values)) << format->name;
  }
}

TEST(FloatFormats, SaturateAtInfinityAndPassNaNOn) {
  const Tensor x = at::tensor({std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                               std::numeric_limits<float>::quiet_NaN()});
  for (const Format* format : float_formats()) {
    const Tensor y = fake_quantize(x, at_scale_one(*format));
    EXPECT_EQ(y[0].item<double>(), format->highest_value) << format->name;
    EXPECT_EQ(y[1].item<double>(), -format->highest_value) << format->name;
    EXPECT_TRUE(std::isnan(y[2].item<float>())) << format->name;
    EXPECT_THROW(quantize_to_codes(x, at_scale_one(*format)), Fault) << format->name;
  }
}

TEST(MicroscalingFormats, TakeScalesAndValuesFromTheirBlocks) {
  for (const Format* format : float_formats()) {
    const std::string name = "mx." + format->name;
    const Tensor x = references().at(name + ".inputs");
    const Scaling scaling = per_block(-1, 32, ScaleFormat::e8m0, /*from_values=*/true);
    const Quantizer quantizer = search_range(x, spec_of(*format, scaling));
    const Tensor scales = block_scales(to_blocks(x, scaling), scaling, format->highest_value, {}).squeeze(-1);
    EXPECT_TRUE(at::equal(scales, references().at(name + ".scales"))) << name;
    EXPECT_TRUE(same_bits(fake_quantize(x, quantizer), references().at(name + ".values"))) << name;
  }
}

TEST(MicroscalingFormats, Nvfp4HasOneFactorForTheTensor) {
  const Tensor x = references().at("nvfp4.inputs");
  const Scaling scaling = per_block(-1, 16, ScaleFormat::e4m3, /*from_values=*/true);
  const Quantizer quantizer = search_range(x, spec_of(formats::e2m1, scaling));
  EXPECT_TRUE(at::allclose(quantizer.factor, references().at("nvfp4.factor"), 1e-6, 0));
  const Quantizer given = {
      .spec = quantizer.spec, .scale = at::ones({1}), .zero_point = at::zeros({1}), .factor = references().at("nvfp4.factor")};
  const Tensor scales = block_scales(to_blocks(x, scaling), scaling, 6, given.factor).squeeze(-1);
  EXPECT_TRUE(at::equal(scales, references().at("nvfp4.scales")));
  EXPECT_TRUE(same_bits(fake_quantize(x, given), references().at("nvfp4.values")));
}

TEST(Blocks, LieAlongTheirAxisAndComeBackWhole) {
  at::manual_seed(1);
  const Tensor values = at::randn({2, 3, 37, 8}), weight = at::randn({5, 3, 4, 4}), rows = at::randn({6, 70});
  const auto survives = [](const Tensor& x, const Scaling& scaling) {
    return at::equal(from_blocks(to_blocks(x, scaling), scaling, x.sizes()), x);
  };
  EXPECT_TRUE(survives(values, per_block(2, 16)));
  EXPECT_TRUE(survives(values, per_block(-1, 32)));
  EXPECT_TRUE(survives(weight, per_block(1, 32)));
  EXPECT_TRUE(survives(rows, per_block(1, 64)));

  const Tensor along_tokens = to_blocks(values, per_block(2, 16));
  EXPECT_EQ(along_tokens.sizes(), at::IntArrayRef({2, 3, 8, 3, 16}));
  EXPECT_EQ(along_tokens[1][2][5][1][3].item<float>(), values[1][2][19][5].item<float>());
  EXPECT_EQ(along_tokens[1][2][5][2][5].item<float>(), 0);  // token 37 is none
  const Tensor inputs = to_blocks(weight, per_block(1, 32));
  EXPECT_EQ(inputs.sizes(), at::IntArrayRef({5, 2, 32}));
  EXPECT_EQ(inputs[4][1][15].item<float>(), weight.flatten(1)[4][47].item<float>());
  EXPECT_EQ(scale_count(per_block(1, 32), weight.sizes()), 10);
  EXPECT_EQ(scale_count(per_block(1, 64), rows.sizes()), 12);
  EXPECT_EQ(scale_count(per_channel(1), weight.sizes()), 3);
}

/// Of every block alone, by trying many scales.
double least_error(const Tensor& block, const Quantizer& like, const std::vector<double>& scales) {
  double least = std::numeric_limits<double>::infinity();
  for (const double scale : scales) {
    Quantizer one{.spec = like.spec, .scale = at::full({1}, scale, at::kFloat), .zero_point = at::zeros({1})};
    one.spec.scaling = per_tensor;
    least = std::min(least, (fake_quantize(block, one) - block).square().sum().item<double>());
  }
  return least;
}

TEST(BlockWeights, HaveStorableScalesNearTheBestOfAll) {
  at::manual_seed(4);
  const Tensor weight = at::randn({7, 72}) * at::exp(at::randn({7, 1}));
  struct Case {
    const Format* format;
    Scaling scaling;
  };
  for (const auto& [format, scaling] :
       {Case{&formats::e2m1, per_block(1, 32, ScaleFormat::e8m0)}, Case{&formats::e3m2, per_block(1, 32, ScaleFormat::e8m0)},
        Case{&formats::e2m1, per_block(1, 16, ScaleFormat::e4m3)}, Case{&formats::uniform, per_block(1, 32)}}) {
    QuantizerSpec spec = spec_of(*format, scaling);
    spec.symmetric = true;
    const Quantizer quantizer = search_range(weight, spec);
    ASSERT_EQ(quantizer.scale.numel(), scale_count(scaling, weight.sizes()));
    EXPECT_TRUE(at::equal(stored_scale(quantizer.scale, scaling.stored), quantizer.scale)) << format->name;
    EXPECT_EQ(quantizer.factor.defined(), scaling.stored == ScaleFormat::e4m3);

    const double factor = quantizer.factor.defined() ? quantizer.factor.item<double>() : 1;
    std::vector<double> scales;
    for (double scale = 1e-3; scale < 4; scale *= 1.02) scales.push_back(scale);
    if (scaling.stored == ScaleFormat::e8m0) {
      scales.clear();
      for (int exponent = -20; exponent < 6; ++exponent) scales.push_back(std::exp2(exponent));
    } else if (scaling.stored == ScaleFormat::e4m3) {
      scales.clear();
      const Tensor all = dequantize(at::arange(1, 127, at::kLong), at_scale_one(formats::e4m3)) * factor;
      for (int64_t i = 0; i < all.numel(); ++i) scales.push_back(all[i].item<double>());
    }
    const Tensor blocks = to_blocks(weight, scaling).reshape({-1, scaling.block});
    const Tensor rounded = to_blocks(fake_quantize(weight, quantizer), scaling).reshape({-1, scaling.block});
    double found = 0, best = 0;
    for (int64_t i = 0; i < blocks.size(0); ++i) {
      found += (rounded[i] - blocks[i]).square().sum().item<double>();
      best += least_error(blocks[i], quantizer, scales);
    }
    EXPECT_LT(found, 1.03 * best) << format->name << " " << name_of(scaling.stored);
    EXPECT_GT(found, 0.99 * best) << format->name << " " << name_of(scaling.stored);
  }
}

TEST(BlockWeights, DequantizedCodesAreTheFakeQuantizedValues) {
  at::manual_seed(5);
  for (const Tensor& weight : {at::randn({6, 72}), at::randn({4, 3, 4, 4})}) {
    for (const Scaling& scaling :
         {per_block(1, 32, ScaleFormat::e8m0), per_block(1, 16, ScaleFormat::e4m3), per_block(1, 64)}) {
      const Format& format = scaling.stored == ScaleFormat::float32 ? formats::uniform : formats::e2m1;
      const Quantizer quantizer = search_range(weight, spec_of(format, scaling));
      const Tensor codes = quantize_to_codes(weight, quantizer);
      EXPECT_EQ(codes.sizes(), weight.sizes());
      EXPECT_LE(codes.max().item<int64_t>(), 15);
      EXPECT_TRUE(at::equal(dequantize(codes, quantizer), fake_quantize(weight, quantizer)));
    }
  }
}

TEST(BlockWeights, OfZerosStayZeros) {
  for (const Scaling& scaling : {per_block(1, 32, ScaleFormat::e8m0), per_block(1, 16, ScaleFormat::e4m3), per_block(1, 64)}) {
    const Format& format = scaling.stored == ScaleFormat::float32 ? formats::uniform : formats::e2m1;
    Tensor weight = at::randn({2, 128});
    weight.narrow(1, 0, 64).zero_();
    for (const Tensor& x : {weight, at::zeros({2, 128})}) {
      const Tensor y = fake_quantize(x, search_range(x, spec_of(format, scaling)));
      EXPECT_TRUE(y.isfinite().all().item<bool>()) << format.name;
      EXPECT_EQ(y.narrow(1, 0, 64).abs().max().item<float>(), 0) << format.name;
    }
  }
}

/// Where rounding gives a value of the format: up to half a step beyond the largest.
double reach(const Format& format) {
  const Tensor ends =
      dequantize(at::tensor({format.codes(0, false).highest - 1, format.codes(0, false).highest}), at_scale_one(format));
  return ends[1].item<double>() + (ends[1] - ends[0]).item<double>() / 2;
}

/// The textbook expression: rounding has the gradient 1 and what is clamped has none; `scale` is a constant or the calibrated
/// one.
Tensor textbook(const Tensor& x, const Tensor& scale, const Tensor& rounded, const Format& format) {
  const Tensor ratio = x / scale, index = (rounded / scale).detach();
  const Tensor straight = ratio + (index - ratio).detach();
  return at::where(at::lt(ratio.abs(), reach(format)), straight, index) * scale;
}

TEST(FloatFormats, HaveTheGradientOfTheTextbookExpression) {
  at::manual_seed(6);
  for (const Format* format : float_formats()) {
    const Tensor x = (at::randn({6, 50}, at::kDouble) * format->highest_value / 2).requires_grad_(true);
    const Tensor scale = (at::rand({6}, at::kDouble) + 0.5).requires_grad_(true);
    const Quantizer quantizer{
        .spec = spec_of(*format, per_channel(0)), .scale = scale, .zero_point = at::zeros({6}, at::kDouble)};
    const Tensor upstream = at::randn({6, 50}, at::kDouble);
    const Tensor ours = fake_quantize(x, quantizer), theirs = textbook(x, scale.unsqueeze(1), ours.detach(), *format);
    EXPECT_TRUE(at::allclose(ours, theirs, 1e-12, 1e-12));
    const auto a = torch::autograd::grad({(ours * upstream).sum()}, {x, scale});
    const auto b = torch::autograd::grad({(theirs * upstream).sum()}, {x, scale});
    EXPECT_TRUE(at::allclose(a[0], b[0], 1e-9, 1e-12)) << format->name;
    EXPECT_TRUE(at::allclose(a[1], b[1], 1e-9, 1e-9)) << format->name;
  }
}

TEST(MicroscalingFormats, PassTheGradientOfWhatTheirScalesHold) {
  at::manual_seed(7);
  const Tensor x = (at::randn({4, 70}, at::kDouble) * 3).requires_grad_(true), upstream = at::randn({4, 70}, at::kDouble);
  for (const Format* format : float_formats()) {
    const Scaling scaling = per_block(-1, 32, ScaleFormat::e8m0, /*from_values=*/true);
    const Quantizer quantizer = search_range(x.detach().to(at::kFloat), spec_of(*format, scaling));
    const Tensor ours = fake_quantize(x, quantizer);
    const Tensor scale = block_scales(to_blocks(x.detach(), scaling), scaling, format->highest_value, {});
    const Tensor per_value = from_blocks(scale.expand({4, 3, 32}), scaling, x.sizes());
    const Tensor theirs = textbook(x, per_value, ours.detach(), *format);
    const Tensor a = torch::autograd::grad({(ours * upstream).sum()}, {x}).front();
    const Tensor b = torch::autograd::grad({(theirs * upstream).sum()}, {x}).front();
    EXPECT_TRUE(at::allclose(a, b, 1e-9, 1e-12)) << format->name;
    const double passed = at::ne(a, 0).to(at::kDouble).mean().item<double>();
    EXPECT_GT(passed, 0.9) << format->name;
  }
}

}  // namespace
}  // namespace eidolon
