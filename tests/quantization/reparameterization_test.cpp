#include "quantization/reparameterization.h"

#include "gtest/gtest.h"
#include "quantization/range_search.h"
#include "random_model.h"
#include "specs.h"

namespace eidolon {
namespace {

constexpr int block = 2;  ///< the section of "blocks.1"

NodeId qkv_input() {
  return small_plan()->node("blocks.1.attn.qkv.input");
}

NodeId fc1_input() {
  return small_plan()->node("blocks.1.mlp.fc1.input");
}

struct Observed {
  Tensor tokens;  ///< input of block 1
  Tensor qkv_input, fc1_input;
};

Observed observe_block(const Network& model, const Tensor& images) {
  Observed seen;
  seen.tokens = forward_section(model, 1, forward_section(model, 0, images));
  forward_section(model, block, seen.tokens, [&](NodeId node, const Tensor& x) {
    if (node == qkv_input()) seen.qkv_input = x;
    if (node == fc1_input()) seen.fc1_input = x;
    return x;
  });
  return seen;
}

struct Folded {
  Network model;
  Quantizer qkv_channels, fc1_channels, qkv, fc1;
};

Folded fold(const Network& model, const Observed& seen, int64_t bits, bool symmetric) {
  const QuantizerSpec spec = spec_of(formats::uniform, bits, symmetric, 2);
  Folded f{model.clone(), search_range(seen.qkv_input, spec, true), search_range(seen.fc1_input, spec, true), {}, {}};
  f.qkv = reparameterize(f.model, *model.plan->product_reading(qkv_input()), f.qkv_channels);
  f.fc1 = reparameterize(f.model, *model.plan->product_reading(fc1_input()), f.fc1_channels);
  return f;
}

Tap rounding(const Quantizer& qkv, const Quantizer& fc1) {
  return [qkv, fc1](NodeId node, const Tensor& x) {
    if (node == qkv_input()) return fake_quantize(x, qkv);
    return node == fc1_input() ? fake_quantize(x, fc1) : x;
  };
}

double largest_difference(const Tensor& a, const Tensor& b) {
  return (a - b).abs().max().item<double>();
}

TEST(Reparameterization, FoldingLeavesTheFullPrecisionModelUnchanged) {
  const Network model = random_model();
  const Observed seen = observe_block(model, random_images(*model.plan, 8));
  for (const bool symmetric : {false, true}) {
    const Folded f = fold(model, seen, 4, symmetric);
    EXPECT_GT(largest_difference(f.model["blocks.1.norm1.weight"], model["blocks.1.norm1.weight"]), 0.01);
    EXPECT_LT(largest_difference(forward_section(f.model, block, seen.tokens), forward_section(model, block, seen.tokens)),
              1e-4);
  }
}

TEST(Reparameterization, OneQuantizerAfterFoldingRoundsAsOnePerChannelBefore) {
  const Network model = random_model();
  const Observed seen = observe_block(model, random_images(*model.plan, 8));
  for (const int64_t bits : {2, 4, 8}) {
    for (const bool symmetric : {false, true}) {
      const Folded f = fold(model, seen, bits, symmetric);
      const auto node_inputs = [&](const Network& m) { return observe_block(m, random_images(*m.plan, 8)); };
      const Observed folded = node_inputs(f.model);
      // A value on the edge between two codes may fall to either side; all others agree.
      const Tensor unfolded_codes = quantize_to_codes(seen.qkv_input, f.qkv_channels);
      const Tensor folded_codes = quantize_to_codes(folded.qkv_input, f.qkv);
      EXPECT_LT(at::ne(unfolded_codes, folded_codes).to(at::kDouble).mean().item<double>(), 1e-3);
      const Tensor same = at::eq(unfolded_codes, folded_codes).all(2);

      const Tensor weight = model["blocks.1.attn.qkv.weight"], bias = model["blocks.1.attn.qkv.bias"];
      const Tensor before = at::linear(fake_quantize(seen.qkv_input, f.qkv_channels), weight, bias);
      const Tensor after = at::linear(fake_quantize(folded.qkv_input, f.qkv), f.model["blocks.1.attn.qkv.weight"],
                                      f.model["blocks.1.attn.qkv.bias"]);
      EXPECT_LT(largest_difference(before.index({same}), after.index({same})), 1e-4);
    }
  }
}

TEST(Reparameterization, ReturnsAnExportableQuantizer) {
  const Network model = random_model();
  const Folded f = fold(model, observe_block(model, random_images(*model.plan, 4)), 4, false);
  for (const Quantizer& quantizer : {f.qkv, f.fc1}) {
    EXPECT_EQ(quantizer.spec, spec_of(formats::uniform, 4));
    EXPECT_EQ(quantizer.scale.sizes(), at::IntArrayRef({1}));
    const float zero_point = quantizer.zero_point.item<float>();
    EXPECT_EQ(zero_point, std::round(zero_point));
    EXPECT_GE(zero_point, 0);
    EXPECT_LE(zero_point, 15);
  }
}

TEST(Reparameterization, DeadAndConstantChannelsStayFiniteAndLossless) {
  Network model = random_model();
  for (const std::string norm : {"blocks.1.norm1", "blocks.1.norm2"}) {
    model.parameters[norm + ".weight"].narrow(0, 0, 5).zero_();
    model.parameters[norm + ".bias"].narrow(0, 0, 3).zero_();  // two stay constant but not zero
    model.parameters[norm + ".weight"].narrow(0, 5, 1).fill_(1e-6);
  }
  const Observed seen = observe_block(model, random_images(*model.plan, 8));
  for (const bool symmetric : {false, true}) {
    const Folded f = fold(model, seen, 4, symmetric);
    for (const auto& [name, parameter] : f.model.parameters) {
      EXPECT_TRUE(parameter.isfinite().all().item<bool>()) << name;
      EXPECT_LT(parameter.abs().max().item<double>(), 1e3) << name;
    }
    EXPECT_LT(largest_difference(forward_section(f.model, block, seen.tokens), forward_section(model, block, seen.tokens)),
              1e-4);
    const Tensor rounded = forward_section(f.model, block, seen.tokens, rounding(f.qkv, f.fc1));
    EXPECT_TRUE(rounded.isfinite().all().item<bool>());
    const Tensor dead = f.model["blocks.1.norm1.bias"].narrow(0, 0, 3);
    EXPECT_TRUE(at::equal(dead.cpu(), at::zeros({3}))) << "a dead channel stays at 0";
  }
}

TEST(Reparameterization, ALayerNormThatIsAllZeroStaysFinite) {
  Network model = random_model();
  model.parameters["blocks.1.norm1.weight"].zero_();
  model.parameters["blocks.1.norm1.bias"].zero_();
  const Observed seen = observe_block(model, random_images(*model.plan, 4));
  const Folded f = fold(model, seen, 4, false);
  const Tensor rounded = forward_section(f.model, block, seen.tokens, rounding(f.qkv, f.fc1));
  EXPECT_TRUE(rounded.isfinite().all().item<bool>());
}

}  // namespace
}  // namespace eidolon
