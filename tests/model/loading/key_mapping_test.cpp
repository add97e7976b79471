#include "model/loading/key_mapping.h"

#include <gtest/gtest.h>

#include <functional>
#include <regex>
#include <string>
#include <vector>

#include "model/families/families.h"
#include "tests/model/model_data.h"
#include "tests/storage/expect_error.h"

namespace eidolon {
namespace {

using testing::model_data;

TEST(KeyMapping, HuggingFacesTwinIsTheSameModelBitForBit) {
  const Teacher timm = read_teacher(model_data("tiny_random")), twin = read_teacher(model_data("tiny_random_hf"));
  EXPECT_EQ(twin.model.plan->facts, timm.model.plan->facts);
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
  EXPECT_EQ(preprocessing.resize, "both sides");
}

TEST(KeyMapping, NamesForHuggingFaceAreThoseThatAreRead) {
  const Teacher timm = read_teacher(model_data("tiny_random"));
  TensorMap renamed;
  for (const auto& [name, tensor] : timm.model.parameters) {
    const std::vector<std::string> names = to_hugging_face(name);
    const auto parts = tensor.chunk(static_cast<int64_t>(names.size()));
    for (size_t i = 0; i < names.size(); ++i) renamed[names[i]] = parts[i];
  }
  const TensorMap twin = read_safetensors(model_data("tiny_random_hf") / "model.safetensors").tensors;
  ASSERT_EQ(renamed.size(), twin.size());
  for (const auto& [name, tensor] : twin) EXPECT_TRUE(at::equal(renamed.at(name), tensor)) << name;
}

TEST(KeyMapping, LeavesIncompleteAndUnknownNamesToBeReported) {
  const TensorMap mapped = to_timm_names({{"vit.embeddings.cls_token", at::zeros({1, 1, 2})},
                                          {"vit.encoder.layer.0.attention.attention.query.weight", at::zeros({2, 2})},
                                          {"vit.encoder.layer.0.mixer.bias", at::zeros({2})},
                                          {"decoder.bias", at::zeros({2})}},
                                         "model.safetensors")
                               .tensors;
  for (const char* name : {"blocks.0.attn.q_proj.weight", "blocks.0.mixer.bias", "decoder.bias"}) {
    EXPECT_TRUE(mapped.contains(name)) << name;
  }
}

/// The names of Hugging Face's twin, changed by `rename`, must give the same model.
void expect_same_model(const std::function<std::string(const std::string&)>& rename) {
  TensorMap renamed;
  for (const auto& [name, tensor] : read_safetensors(model_data("tiny_random_hf") / "model.safetensors").tensors) {
    renamed[rename(name)] = tensor;
  }
  const TensorMap right = read_safetensors(model_data("tiny_random") / "model.safetensors").tensors;
  const TensorMap mapped = to_timm_names(renamed, "model.safetensors").tensors;
  const Network network = read_network(mapped, read_model_config(model_data("tiny_random_hf")), "model.safetensors");
  ASSERT_EQ(network.parameters.size(), right.size());
  for (const auto& [name, tensor] : right) {
    ASSERT_TRUE(network.parameters.contains(name)) << name;
    EXPECT_TRUE(at::equal(network[name], tensor)) << name;
  }
}

TEST(KeyMapping, PrefixesAreTakenOffWhereAllNamesHaveThem) {
  for (const std::string prefix : {"module.", "model.", "_orig_mod.", "module._orig_mod."}) {
    expect_same_model([&](const std::string& name) { return prefix + name; });
    TensorMap timm;
    for (const auto& [name, tensor] : read_safetensors(model_data("tiny_random") / "model.safetensors").tensors) {
      timm[prefix + name] = tensor;
    }
    const TimmNames found = to_timm_names(timm, "model.safetensors");
    EXPECT_TRUE(found.tensors.contains("blocks.1.attn.qkv.bias"));
    ASSERT_EQ(found.remarks.size(), 1u);
    EXPECT_NE(found.remarks[0].find("the prefix '" + prefix + "'"), std::string::npos) << found.remarks[0];
  }
}

TEST(KeyMapping, HuggingFacesOwnPrefixMayBeMissing) {
  expect_same_model([](const std::string& name) { return name.starts_with("vit.") ? name.substr(4) : name; });
}

TEST(KeyMapping, NamesInTransformers5sMemoryAreTheSameModel) {
  // As ViTForImageClassification(...).state_dict() has them in transformers 5.23.
  const std::vector<std::pair<std::regex, const char*>> rules{{std::regex("encoder\\.layer\\."), "layers."},
                                                              {std::regex("attention\\.attention\\.query"), "attention.q_proj"},
                                                              {std::regex("attention\\.attention\\.key"), "attention.k_proj"},
                                                              {std::regex("attention\\.attention\\.value"), "attention.v_proj"},
                                                              {std::regex("attention\\.output\\.dense"), "attention.o_proj"},
                                                              {std::regex("intermediate\\.dense"), "mlp.fc1"},
                                                              {std::regex("output\\.dense"), "mlp.fc2"}};
  expect_same_model([&](std::string name) {
    for (const auto& [old, now] : rules) name = std::regex_replace(name, old, now);
    return name;
  });
}

TEST(KeyMapping, APrefixInFrontOfSomeNamesIsRefusedNamingAnother) {
  EXPECT_ERROR(BadInput, "the prefix 'net.' stands in front of 2 names but not of 'head.bias' and 1 more",
               to_timm_names({{"net.cls_token", at::zeros({1})},
                              {"net.norm.bias", at::zeros({1})},
                              {"head.bias", at::zeros({1})},
                              {"head.weight", at::zeros({1})}},
                             "model.safetensors"));
}

TEST(KeyMapping, PoolersAndBuffersArePassedOverWithARemark) {
  const TimmNames found = to_timm_names({{"vit.embeddings.cls_token", at::zeros({1})},
                                         {"vit.embeddings.position_ids", at::zeros({1}, at::kLong)},
                                         {"vit.pooler.dense.bias", at::zeros({1})},
                                         {"vit.pooler.dense.weight", at::zeros({1})}},
                                        "model.safetensors");
  EXPECT_EQ(found.tensors.size(), 1u);
  ASSERT_EQ(found.remarks.size(), 1u);
  EXPECT_NE(found.remarks[0].find("embeddings.position_ids and 2 more passed over"), std::string::npos);
}

}  // namespace
}  // namespace eidolon
