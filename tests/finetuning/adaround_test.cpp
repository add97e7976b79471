#include "finetuning/adaround.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "quantization/calibration.h"
#include "storage/safetensors.h"
#include "tests/finetuning/small_model.h"
#include "tests/numerics/differences.h"
#include "tests/places.h"
#include "tests/research_job.h"

namespace eidolon {
namespace {

using torch::autograd::grad;

/// scripts/references/make_adaround_reference.py lists the keys.
struct AdaRoundReference : ::testing::Test {
  TensorMap tensors = read_safetensors(testing::test_data() / "finetuning" / "adaround.safetensors").tensors;
  Quantizer quantizer{
      .spec = {.bits = 4, .scaling = per_channel(0)}, .scale = tensors.at("scale"), .zero_point = tensors.at("zero_point")};
  LearnedRounding rounding{small_node("blocks.0.attn.qkv.weight"),
                           (tensors.at("weight") / tensors.at("scale").unsqueeze(1)).floor(),
                           tensors.at("variable").clone().requires_grad_(true)};

  void expect_equal(const Tensor& ours, const std::string& name) {
    EXPECT_TRUE(at::allclose(ours, tensors.at(name), 1e-10, 1e-12)) << name << '\n' << ours << '\n' << tensors.at(name);
  }
};

TEST_F(AdaRoundReference, SoftWeightAndItsGradientsAreThoseOfPyTorch) {
  quantizer.scale.requires_grad_(true);
  const Tensor soft = soft_weight(rounding, quantizer);
  expect_equal(soft, "soft");
  const auto gradients = grad({(soft * tensors.at("upstream")).sum()}, {rounding.variable, quantizer.scale});
  expect_equal(gradients[0], "variable_gradient");
  expect_equal(gradients[1], "scale_gradient");
}

TEST_F(AdaRoundReference, PenaltyAndItsGradientAreThoseOfPyTorch) {
  std::vector<Tensor> penalties, gradients;
  for (int64_t i = 0; i < tensors.at("beta").numel(); ++i) {
    penalties.push_back(rounding_penalty(rounding.variable, tensors.at("beta")[i].item<double>()));
    gradients.push_back(grad({penalties.back()}, {rounding.variable}).front());
  }
  expect_equal(at::stack(penalties), "penalty");
  expect_equal(at::stack(gradients), "penalty_gradient");
}

TEST_F(AdaRoundReference, GradientsMatchFiniteDifferences) {
  const Tensor upstream = tensors.at("upstream");
  testing::expect_gradient_matches_differences(
      [&](const Tensor& variable) {
        return (soft_weight({rounding.weight, rounding.below, variable}, quantizer) * upstream).sum();
      },
      tensors.at("variable"));
  for (const double beta : {20.0, 2.0}) {
    testing::expect_gradient_matches_differences([&](const Tensor& v) { return rounding_penalty(v, beta); },
                                                 tensors.at("variable"));
  }
}

TEST_F(AdaRoundReference, StartsWhereTheSoftWeightIsTheWeight) {
  const Tensor places = tensors.at("weight") / tensors.at("scale").unsqueeze(1);
  expect_equal(rounding_variable_of(places - places.floor()), "start");
}

struct LearnedRoundings : ::testing::Test {
  Student student =
      calibrate(small_model(), scheme_of(research_job(), *small_plan()), small_input(small_images(4, {0, 1, 2, 3}).bytes), {});
  std::vector<NodeId> weights{small_node("blocks.0.attn.qkv.weight"), small_node("blocks.0.mlp.fc2.weight"),
                              small_node("patch_embed.proj.weight")};
  std::vector<LearnedRounding> roundings = learned_roundings(student, weights);

  const Quantizer& quantizer(const LearnedRounding& rounding) const { return student.quantizers.at(rounding.weight); }
  Tensor weight(const LearnedRounding& rounding) const { return student.model[rounding.weight]; }
};

TEST_F(LearnedRoundings, BeginWithTheUnroundedWeightWithinTheGrid) {
  ASSERT_EQ(roundings.size(), weights.size());
  for (const LearnedRounding& rounding : roundings) {
    const Tensor w = weight(rounding), nearest = fake_quantize(w, quantizer(rounding));
    const Grid grid = grid_of(quantizer(rounding), w.sizes(), at::kFloat);
    const Tensor place = w / grid.scale;
    const Tensor inside = at::logical_and(at::ge(place, grid.lowest), at::le(place, grid.highest));
    EXPECT_GT(inside.to(at::kFloat).mean().item<double>(), 0.9);
    const Tensor difference = (soft_weight(rounding, quantizer(rounding)) - w).abs() * inside / grid.scale;
    EXPECT_LT(difference.max().item<double>(), 1e-4);
    // Halves apart, which no random weight hits, the hard weight is then the nearest.
    EXPECT_TRUE(at::equal(hard_weight(rounding, quantizer(rounding)), nearest));
  }
}

TEST_F(LearnedRoundings, EndOnTheGridInOneOfTheTwoNeighbours) {
  for (LearnedRounding& rounding : roundings) {
    const Tensor before = hard_weight(rounding, quantizer(rounding));
    at::NoGradGuard no_gradients;
    rounding.variable.add_(at::randn_like(rounding.variable) * 3);
    const Tensor hard = hard_weight(rounding, quantizer(rounding));
    EXPECT_TRUE(at::equal(fake_quantize(hard, quantizer(rounding)), hard));
    EXPECT_FALSE(at::equal(hard, before));
    const Tensor codes = quantize_to_codes(hard, quantizer(rounding)), nearest = quantize_to_codes(before, quantizer(rounding));
    EXPECT_LE((codes - nearest).abs().max().item<int64_t>(), 1);
  }
}

TEST_F(LearnedRoundings, HardWeightIsTheSoftOneOnceDecided) {
  for (LearnedRounding& rounding : roundings) {
    at::NoGradGuard no_gradients;
    rounding.variable.copy_(at::randn_like(rounding.variable).sign() * 10);
    EXPECT_TRUE(at::equal(soft_weight(rounding, quantizer(rounding)), hard_weight(rounding, quantizer(rounding))));
  }
}

TEST_F(LearnedRoundings, TapGivesSoftWeightsAndRoundsTheRest) {
  const Tap tap = soft_weight_tap(student, roundings), plain = quantizing_tap(student);
  EXPECT_TRUE(at::equal(tap(weights[0], weight(roundings[0])), soft_weight(roundings[0], quantizer(roundings[0]))));
  for (const NodeId node : {small_node("blocks.1.attn.qkv.weight"), small_node("blocks.0.attn.proj.weight")}) {
    const Tensor& w = student.model[node];
    EXPECT_TRUE(at::equal(tap(node, w), plain(node, w)));
  }
}

TEST(RoundingPenalty, BeginsAfterAFifthAndFallsFrom20To2) {
  EXPECT_FALSE(penalty_exponent(0, 100));
  EXPECT_FALSE(penalty_exponent(19, 100));
  EXPECT_DOUBLE_EQ(*penalty_exponent(20, 100), 20.0);
  EXPECT_DOUBLE_EQ(*penalty_exponent(60, 100), 11.0);
  EXPECT_NEAR(*penalty_exponent(99, 100), 2.0 + 18.0 / 80, 1e-12);
}

}  // namespace
}  // namespace eidolon
