#include "model/key_mapping.h"

#include <gtest/gtest.h>

#include "tests/model/model_data.h"

namespace eidolon {
namespace {

using testing::model_data;

TEST(KeyMapping, HuggingFacesTwinIsTheSameModelBitForBit) {
  const Teacher timm = read_teacher(model_data("tiny_random")), twin = read_teacher(model_data("tiny_random_hf"));
  EXPECT_EQ(twin.model.architecture, timm.model.architecture);
  ASSERT_EQ(twin.model.parameters.size(), timm.model.parameters.size());
  for (const auto& [name, tensor] : timm.model.parameters) EXPECT_TRUE(at::equal(twin.model[name], tensor)) << name;
  const at::NoGradGuard no_gradients;
  const Tensor& input = testing::tiny_reference().at("input");
  EXPECT_TRUE(at::equal(forward(twin.model, input), forward(timm.model, input)));
}

TEST(KeyMapping, HuggingFacesPreprocessingIsRead) {
  const Preprocessing preprocessing = read_teacher(model_data("tiny_random_hf")).preprocessing;
  EXPECT_EQ(preprocessing.image_size, 32);
  EXPECT_EQ(preprocessing.mean, (std::vector<double>{0.5, 0.5, 0.5}));
  EXPECT_EQ(preprocessing.crop_pct, 1.0);
  EXPECT_EQ(preprocessing.interpolation, "bilinear");
}

TEST(KeyMapping, JoinsQueryKeyAndValueInThisOrder) {
  const std::string prefix = "vit.encoder.layer.11.attention.attention.";
  const TensorMap mapped = from_hugging_face({{prefix + "query.bias", at::full({2}, 1.0)},
                                              {prefix + "key.bias", at::full({2}, 2.0)},
                                              {prefix + "value.bias", at::full({2}, 3.0)}});
  ASSERT_EQ(mapped.size(), 1u);
  EXPECT_TRUE(at::equal(mapped.at("blocks.11.attn.qkv.bias"), at::tensor({1.0f, 1.0f, 2.0f, 2.0f, 3.0f, 3.0f})));
}

TEST(KeyMapping, LeavesIncompleteAndUnknownNamesToBeReported) {
  const std::string query = "vit.encoder.layer.0.attention.attention.query.weight";
  const TensorMap mapped = from_hugging_face({{query, at::zeros({2, 2})}, {"vit.pooler.dense.bias", at::zeros({2})}});
  EXPECT_TRUE(mapped.contains(query));
  EXPECT_TRUE(mapped.contains("vit.pooler.dense.bias"));
}

TEST(KeyMapping, KnowsWhichNamesAreHuggingFaces) {
  EXPECT_TRUE(has_hugging_face_names({{"classifier.bias", at::zeros({1})}, {"vit.layernorm.bias", at::zeros({1})}}));
  EXPECT_FALSE(has_hugging_face_names({{"norm.bias", at::zeros({1})}, {"vita", at::zeros({1})}}));
}

}  // namespace
}  // namespace eidolon
