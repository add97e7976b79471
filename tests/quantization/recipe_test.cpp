#include "quantization/recipe.h"

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"
#include "model/loading/teacher.h"
#include "quantization/calibration.h"
#include "random_model.h"
#include "tests/places.h"

namespace eidolon {
namespace {

QuantizationJob recipe(const std::string& name, const std::string& int4_scales = "block32") {
  QuantizationJob job;
  job.recipe = name;
  job.int4_scales = int4_scales;
  return job;
}

std::optional<QuantizerSpec> spec(const QuantizationJob& job, const std::string& node) {
  const auto plan = small_plan(2);
  return recipe_spec(job, *plan, plan->node(node));
}

TEST(Recipe, LeavesAttentionAndTheImageFloat) {
  for (const char* name : {"int8", "w4a8", "w4a16", "fp8", "mxfp8", "mxfp4", "nvfp4"}) {
    for (const char* node : {"image", "blocks.1.attn.q", "blocks.1.attn.k", "blocks.1.attn.v", "blocks.1.attn.probs"})
      EXPECT_FALSE(spec(recipe(name), node)) << name << " " << node;
    EXPECT_TRUE(spec(recipe(name), "blocks.0.mlp.fc2.weight")) << name;
  }
}

TEST(Recipe, IntegersHaveNoZeroPointInWeightsAndOneScaleForAnInput) {
  for (const char* layer : {"blocks.0.attn.qkv", "blocks.1.attn.proj", "blocks.1.mlp.fc1", "blocks.0.mlp.fc2", "head"}) {
    const auto weight = spec(recipe("int8"), std::string(layer) + ".weight");
    ASSERT_TRUE(weight) << layer;
    EXPECT_EQ(*weight, (QuantizerSpec{.bits = 8, .symmetric = true, .scaling = per_channel(0)})) << layer;
    EXPECT_EQ(spec(recipe("int8"), std::string(layer) + ".input"), QuantizerSpec{.bits = 8}) << layer;
    EXPECT_EQ(spec(recipe("w4a8"), std::string(layer) + ".input"), QuantizerSpec{.bits = 8}) << layer;
    EXPECT_FALSE(spec(recipe("w4a16"), std::string(layer) + ".input")) << layer;
  }
  EXPECT_EQ(spec(recipe("w4a16"), "head.weight"), spec(recipe("int8"), "head.weight"));
}

TEST(Recipe, TheEmbeddingHasAScalePerOutputAndColour) {
  const QuantizerSpec expected{.bits = 8, .symmetric = true, .scaling = per_block(1, 16)};  // 4 x 4 pixels
  for (const char* name : {"int8", "w4a8", "w4a16"}) EXPECT_EQ(spec(recipe(name), "patch_embed.proj.weight"), expected) << name;
  EXPECT_FALSE(spec(recipe("nvfp4"), "patch_embed.proj.weight"));
}

TEST(Recipe, Int4ScalesAreOfBlocksOrOfChannels) {
  const auto blocks = spec(recipe("w4a16", "block64"), "blocks.0.mlp.fc1.weight");
  EXPECT_EQ(blocks, (QuantizerSpec{.bits = 4, .symmetric = true, .scaling = per_block(1, 64, ScaleFormat::float16)}));
  const auto channels = spec(recipe("w4a8", "channel"), "blocks.0.mlp.fc1.weight");
  EXPECT_EQ(channels, (QuantizerSpec{.bits = 4, .symmetric = true, .scaling = per_channel(0)}));
}

TEST(Recipe, FloatingPointOnesAreThoseOfTheFormatsNamed) {
  EXPECT_EQ(spec(recipe("fp8"), "blocks.0.mlp.fc1.weight")->format, &formats::e4m3);
  EXPECT_EQ(spec(recipe("fp8"), "blocks.0.mlp.fc1.input")->scaling, per_tensor);
  const auto mx = spec(recipe("mxfp4"), "blocks.0.mlp.fc1.input");
  EXPECT_EQ(mx->format, &formats::e2m1);
  EXPECT_EQ(mx->scaling, per_block(-1, 32, ScaleFormat::e8m0, /*from_values=*/true));
  EXPECT_EQ(spec(recipe("nvfp4"), "blocks.0.mlp.fc1.weight")->scaling, per_block(1, 16, ScaleFormat::e4m3));
  EXPECT_FALSE(spec(recipe("nvfp4"), "head.input"));
  EXPECT_THROW(spec(recipe("int5"), "head.input"), BadInput);
}

TEST(Recipe, RulesMayStillMakeNodesFloat) {
  QuantizationJob job = recipe("int8");
  job.bits_for = "head.*: float";
  const auto plan = small_plan(2);
  const Scheme scheme = scheme_of(job, *plan);
  EXPECT_FALSE(scheme.contains(plan->node("head.weight")));
  EXPECT_TRUE(scheme.contains(plan->node("blocks.0.mlp.fc1.weight")));
  job.bits_for = "blocks.0.*: 4";
  EXPECT_THROW(scheme_of(job, *plan), BadInput) << "other bits are for research";
}

TEST(Recipe, KnowsANetworkWithoutAMatrixForInt4) {
  const auto resnet = read_teacher(testing::test_data() / "model" / "families" / "cifar_resnet").model.plan;
  EXPECT_TRUE(misses_int4(recipe("w4a8"), *resnet));
  EXPECT_TRUE(misses_int4(recipe("w4a16"), *resnet));
  EXPECT_FALSE(misses_int4(recipe("int8"), *resnet)) << "which has none to miss";
  EXPECT_FALSE(misses_int4(QuantizationJob{}, *resnet));
  EXPECT_FALSE(misses_int4(recipe("w4a8"), *small_plan(2)));
}

TEST(Recipe, ScalesOfInt4BlocksAreFloat16Numbers) {
  const Network teacher = random_model();
  const QuantizationJob job = recipe("w4a16");
  const Student student =
      calibrate(teacher, scheme_of(job, *teacher.plan), random_images(*teacher.plan, 4), calibration_settings(job));
  const Tensor& scale = student.quantizers.at(teacher.plan->node("blocks.0.mlp.fc1.weight")).scale;
  EXPECT_EQ(scale.numel(), 48) << "24 inputs are one block, shorter than 32";
  EXPECT_TRUE(at::equal(scale, scale.to(at::kHalf).to(at::kFloat)));
}

TEST(Recipe, EveryOneIsCloseToItsTeacher) {
  const at::NoGradGuard no_gradients;
  const Network teacher = random_model();
  const Plan& plan = *teacher.plan;
  const Tensor images = random_images(plan, 16), fresh = random_images(plan, 16, 31), exact = forward(teacher, fresh);
  const std::pair<const char*, double> decibels[] = {{"int8", 22},  {"w4a8", 12}, {"w4a16", 12}, {"fp8", 18},
                                                     {"mxfp8", 16}, {"mxfp4", 5}, {"nvfp4", 8}};
  for (const auto& [name, least] : decibels) {
    const QuantizationJob job = recipe(name);
    const Student student = calibrate(teacher, scheme_of(job, plan), images, calibration_settings(job));
    EXPECT_GT(sqnr(exact, forward(student.model, fresh, quantizing_tap(student))), least) << name;
  }
}

}  // namespace
}  // namespace eidolon
