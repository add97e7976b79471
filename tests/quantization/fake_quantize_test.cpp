#include <cmath>
#include <limits>

#include "gtest/gtest.h"
#include "specs.h"
#include "textbook.h"

namespace eidolon {
namespace {

using torch::autograd::grad;

struct Case {
  Quantizer quantizer;
  Tensor x;
  std::string name;
};

/// Ranges that clip on both sides; random values, so none lies on a rounding or clamping edge.
Case a_case(QuantizerSpec spec, at::ScalarType dtype) {
  at::manual_seed(static_cast<uint64_t>(spec.bits + 10 * spec.scaling.axis + 100));
  const bool two_sided = spec.format->has_zero_point, companded = spec.format->is_companded;
  const Tensor noise = at::randn({3, 5, 7, 4}, at::kDouble);
  const int64_t channels = scale_count(spec.scaling, noise.sizes());
  const double levels = std::exp2(static_cast<double>(spec.bits));
  Quantizer quantizer{.spec = spec, .scale = {}, .zero_point = at::zeros({channels}, dtype)};
  if (two_sided) {
    quantizer.scale = ((at::rand({channels}, at::kDouble) + 1.0) * 2.0 / levels).to(dtype);
    if (!spec.symmetric) quantizer.zero_point = at::randint(0, spec.highest() + 1, {channels}).to(dtype);
    if (companded) quantizer.companding = ((at::rand({channels}, at::kDouble) + 0.5) * levels / 8).to(dtype);
  } else {
    quantizer.scale = (at::rand({channels}, at::kDouble) * 0.3 + 0.5).to(dtype);
  }
  const Tensor x = (two_sided ? noise : at::exp(3 * noise - 3)).to(dtype);
  return {quantizer, x, text_of(spec)};
}

std::vector<QuantizerSpec> all_specs() {
  std::vector<QuantizerSpec> specs;
  for (const int64_t bits : {2, 3, 4, 6, 8}) {
    for (const int64_t axis : {-1, 0, 1, 3}) {
      specs.push_back(spec_of(formats::uniform, bits, false, axis));
      specs.push_back(spec_of(formats::uniform, bits, true, axis));
      specs.push_back(spec_of(formats::companded, bits, false, axis));
      specs.push_back(spec_of(formats::companded, bits, true, axis));
      specs.push_back(spec_of(formats::log2, bits, false, axis));
      specs.push_back(spec_of(formats::log_sqrt2, bits, false, axis));
    }
    specs.push_back({.format = &formats::companded, .bits = bits, .scaling = of_row_maximum()});
    specs.push_back({.format = &formats::log_sqrt2, .bits = bits, .scaling = of_row_maximum()});
  }
  return specs;
}

void expect_textbook(at::ScalarType dtype, double tolerance) {
  for (const QuantizerSpec& spec : all_specs()) {
    Case c = a_case(spec, dtype);
    SCOPED_TRACE(c.name);
    c.x.requires_grad_();
    c.quantizer.scale.requires_grad_();
    const Tensor weight = at::randn_like(c.x);
    const Tensor ours = fake_quantize(c.x, c.quantizer), textbook = textbook_fake_quantize(c.x, c.quantizer);
    EXPECT_TRUE(at::allclose(ours, textbook, tolerance, tolerance));
    const auto gradients = grad({(ours * weight).sum()}, {c.x, c.quantizer.scale});
    const auto expected = grad({(textbook * weight).sum()}, {c.x, c.quantizer.scale});
    const double magnitude = expected[1].abs().max().item<double>() + 1;
    EXPECT_TRUE(at::allclose(gradients[0], expected[0], tolerance, tolerance));
    EXPECT_TRUE(at::allclose(gradients[1], expected[1], tolerance, 50 * tolerance * magnitude)) << gradients[1] << expected[1];
  }
}

TEST(FakeQuantize, ValuesAndGradientsAreThoseOfTheTextbookInDouble) {
  expect_textbook(at::kDouble, 1e-12);
}

TEST(FakeQuantize, ValuesAndGradientsAreThoseOfTheTextbookInFloat) {
  expect_textbook(at::kFloat, 2e-5);
}

TEST(FakeQuantize, SameValuesWithAndWithoutGradients) {
  for (const QuantizerSpec& spec : all_specs()) {
    Case c = a_case(spec, at::kFloat);
    const Tensor plain = fake_quantize(c.x, c.quantizer);
    c.x.requires_grad_();
    const Tensor differentiable = fake_quantize(c.x, c.quantizer);
    EXPECT_FALSE(plain.requires_grad());
    EXPECT_TRUE(differentiable.requires_grad());
    EXPECT_TRUE(at::equal(plain, differentiable)) << c.name;
  }
}

TEST(FakeQuantize, EitherGradientAloneEqualsThatOfBoth) {
  for (const QuantizerSpec& spec : all_specs()) {
    Case c = a_case(spec, at::kDouble);
    SCOPED_TRACE(c.name);
    const Tensor x = c.x.clone().requires_grad_();
    Quantizer trained = c.quantizer;
    trained.scale = c.quantizer.scale.clone().requires_grad_();
    const auto both = grad({fake_quantize(x, trained).square().sum()}, {x, trained.scale});
    const auto of_x = grad({fake_quantize(x, c.quantizer).square().sum()}, {x});
    const auto of_scale = grad({fake_quantize(c.x, trained).square().sum()}, {trained.scale});
    EXPECT_TRUE(at::equal(both[0], of_x[0]));
    EXPECT_TRUE(at::equal(both[1], of_scale[0]));
  }
}

TEST(FakeQuantize, TrainsAFloatScaleOnDoubleValues) {
  const Tensor x = at::randn({4, 6}, at::kDouble).requires_grad_();
  const Quantizer quantizer{.spec = spec_of(formats::uniform, 4, true, 1),
                            .scale = at::full({6}, 0.25f).requires_grad_(),
                            .zero_point = at::zeros({6})};
  const auto gradients = grad({fake_quantize(x, quantizer).sum()}, {x, quantizer.scale});
  EXPECT_EQ(gradients[0].scalar_type(), at::kDouble);
  EXPECT_EQ(gradients[1].scalar_type(), at::kFloat);
}

TEST(FakeQuantize, NotANumberStaysNotANumber) {
  const Tensor x = at::full({3}, std::numeric_limits<float>::quiet_NaN());
  for (const Format* format : integer_formats) {
    const Quantizer quantizer{
        .spec = spec_of(*format, 4), .scale = at::ones({1}), .zero_point = at::zeros({1}), .companding = at::ones({1})};
    EXPECT_TRUE(fake_quantize(x, quantizer).isnan().all().item<bool>());
    const Tensor leaf = x.clone().requires_grad_();
    EXPECT_TRUE(fake_quantize(leaf, quantizer).isnan().all().item<bool>());
  }
}

TEST(FakeQuantize, LogFormatsSurviveZeroAndHaveNoGradientThere) {
  for (const Format* format : {&formats::log2, &formats::log_sqrt2}) {
    const Quantizer quantizer{
        .spec = spec_of(*format, 4), .scale = at::full({1}, 0.5f).requires_grad_(), .zero_point = at::zeros({1})};
    const Tensor x = at::zeros({5}).requires_grad_();
    const Tensor y = fake_quantize(x, quantizer);
    EXPECT_FLOAT_EQ(y[0].item<float>(), format == &formats::log2 ? std::ldexp(0.5f, -15) : 0.0f);
    const auto gradients = grad({y.sum()}, {x, quantizer.scale});
    EXPECT_TRUE(at::equal(gradients[0], at::zeros({5})));
    EXPECT_TRUE(gradients[1].isfinite().all().item<bool>());
  }
}

}  // namespace
}  // namespace eidolon
