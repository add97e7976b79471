#include "model/loading/teacher.h"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "model/families/vit.h"
#include "storage/atomic_file.h"
#include "tests/model/model_data.h"
#include "tests/storage/expect_error.h"
#include "tests/storage/temporary_folder.h"

namespace eidolon {
namespace {

using nlohmann::json;
using testing::model_data;
using testing::TemporaryFolder;

/// The committed small model, to be changed and then written to a folder of its own.
struct ModelFolder {
  TensorMap tensors = read_safetensors(model_data("tiny_random") / "model.safetensors").tensors;
  json config = json::parse(read_text(model_data("tiny_random") / "config.json"));
  TemporaryFolder folder;

  Teacher read() {
    write_safetensors(folder / "model.safetensors", tensors);
    std::ofstream(folder / "config.json") << config.dump();
    return read_teacher(folder.path());
  }
};

/// Adds a parameter and expects the refusal to name the architecture and the feature.
void expect_refused(const std::string& parameter, const std::string& feature) {
  ModelFolder model;
  model.tensors[parameter] = at::zeros({24});
  EXPECT_ERROR(BadInput, "architecture 'vit_tiny_random_patch8_32' has " + feature, model.read());
}

TEST(Teacher, KnowsItsShapeAndPreprocessing) {
  const Teacher teacher = read_teacher(model_data("tiny_random"));
  const auto expected =
      vit_plan({.image_size = 32, .patch_size = 8, .width = 24, .depth = 2, .heads = 2, .hidden_width = 96, .classes = 7});
  EXPECT_EQ(teacher.model.plan->facts, expected->facts);
  EXPECT_EQ(teacher.preprocessing.image_size, 32);
  EXPECT_EQ(teacher.preprocessing.crop_pct, 1.0);
  EXPECT_EQ(teacher.content_hash.size(), 64u);
}

TEST(Teacher, ClassNamesFollowTheirIndicesAndNotTheOrderOfTheirKeys) {
  EXPECT_TRUE(read_teacher(model_data("tiny_random")).class_names.empty());
  const std::vector<std::string> hugging_face{"LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3", "LABEL_4", "LABEL_5", "LABEL_6"};
  EXPECT_EQ(read_teacher(model_data("tiny_random_hf")).class_names, hugging_face);

  const std::vector<std::string> names{"a", "b", "c", "d", "e", "f", "g"};
  ModelFolder model;
  model.config["label_names"] = names;
  EXPECT_EQ(model.read().class_names, names);
  model.config["label_names"] = {{"6", "g"}, {"0", "a"}, {"3", "d"}, {"2", "c"}, {"1", "b"}, {"5", "f"}, {"4", "e"}};
  EXPECT_EQ(model.read().class_names, names);
}

TEST(Teacher, HashFollowsTheContentsAndNotTheFile) {
  const std::string original = read_teacher(model_data("tiny_random")).content_hash;
  ModelFolder model;
  EXPECT_EQ(model.read().content_hash, original);
  model.tensors["head.bias"] = model.tensors["head.bias"] + 1e-3;
  EXPECT_NE(model.read().content_hash, original);
}

TEST(Teacher, WidensHalfPrecision) {
  for (const at::ScalarType dtype : {at::kHalf, at::kBFloat16, at::kDouble}) {
    ModelFolder model;
    for (auto& [name, tensor] : model.tensors) tensor = tensor.to(dtype);
    const Teacher teacher = model.read();
    for (const auto& [name, tensor] : model.tensors) {
      EXPECT_EQ(teacher.model[name].scalar_type(), at::kFloat);
      EXPECT_TRUE(at::equal(teacher.model[name], tensor.to(at::kFloat))) << name;
    }
  }
}

TEST(Teacher, ThatIsNotThereIsRefused) {
  EXPECT_ERROR(BadInput, "/no/such/folder is not a folder", read_teacher("/no/such/folder"));
  const TemporaryFolder empty;
  EXPECT_ERROR(BadInput, "config.json is not there", read_teacher(empty.path()));
  std::filesystem::copy_file(model_data("tiny_random") / "config.json", empty / "config.json");
  EXPECT_ERROR(BadInput, "has no model.safetensors; a teacher is a folder", read_teacher(empty.path()));
}

TEST(Teacher, TruncatedWeightsAreRefusedAtEveryLength) {
  const std::string bytes = read_text(model_data("tiny_random") / "model.safetensors");
  const TemporaryFolder folder;
  std::filesystem::copy_file(model_data("tiny_random") / "config.json", folder / "config.json");
  for (const size_t length : {size_t{0}, size_t{5}, size_t{8}, size_t{500}, bytes.size() / 2, bytes.size() - 1}) {
    std::ofstream(folder / "model.safetensors", std::ios::binary | std::ios::trunc) << bytes.substr(0, length);
    EXPECT_ERROR(BadInput, "model.safetensors", read_teacher(folder.path()));
  }
}

TEST(Teacher, ListsMissingUnexpectedAndMisshapenKeysAtOnce) {
  ModelFolder model;
  model.tensors.erase("blocks.1.mlp.fc2.bias");
  model.tensors.erase("norm.weight");
  model.tensors["decoder.weight"] = at::zeros({3});
  model.tensors["blocks.0.attn.proj.weight"] = at::zeros({24, 23});
  EXPECT_ERROR(BadInput, "missing blocks.1.mlp.fc2.bias, norm.weight;", model.read());
  EXPECT_ERROR(BadInput, "unexpected decoder.weight;", model.read());
  EXPECT_ERROR(BadInput, "misshapen blocks.0.attn.proj.weight [24, 23] instead of [24, 24];", model.read());
  EXPECT_ERROR(BadInput, "nothing was loaded", model.read());
}

/// What the architecture is read from.
const std::vector<std::string> cornerstones{"patch_embed.proj.weight", "pos_embed", "head.weight", "blocks.0.mlp.fc1.weight"};

TEST(Teacher, NamesTheParameterThatItCannotDoWithout) {
  for (const std::string& name : cornerstones) {
    ModelFolder model;
    model.tensors.erase(name);
    EXPECT_ERROR(BadInput, "'" + name + "' is missing", model.read());
    model.tensors[name] = at::zeros({2});
    EXPECT_ERROR(BadInput, "'" + name + "' has shape [2]", model.read());
  }
}

TEST(Teacher, EmptyTensorsAreRefused) {
  for (const std::string& name : cornerstones) {
    ModelFolder model;
    std::vector<int64_t> shape = model.tensors[name].sizes().vec();
    shape.back() = 0;
    model.tensors[name] = at::zeros(shape);
    EXPECT_ERROR(BadInput, "'" + name + "' is empty", model.read());
  }
}

TEST(Teacher, NamesTooLongForTheirPatternsAreRefused) {
  for (const char* start : {"blocks.0.", "vit.encoder.layer."}) {
    ModelFolder model;
    std::string name = start;
    name.resize(400000, '1');
    model.tensors[name] = at::zeros({1});
    EXPECT_ERROR(BadInput, "the name of a parameter has 400000 characters", model.read());
  }
}

TEST(Teacher, NanAndInfinityAreRefusedNamingTheTensor) {
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    ModelFolder model;
    model.tensors["blocks.1.attn.qkv.weight"][3][4] = value;
    EXPECT_ERROR(BadInput, "'blocks.1.attn.qkv.weight' contains NaN or Inf", model.read());
  }
}

TEST(Teacher, IntegersAreRefused) {
  ModelFolder model;
  model.tensors["head.bias"] = at::zeros({7}, at::kLong);
  EXPECT_ERROR(BadInput, "'head.bias' holds integers", model.read());
}

TEST(Teacher, HeadWithOneOutputHasNothingToClassify) {
  ModelFolder model;
  model.tensors["head.weight"] = at::zeros({1, 24});
  model.tensors["head.bias"] = at::zeros({1});
  model.config["num_classes"] = model.config["model_args"]["num_classes"] = model.config["pretrained_cfg"]["num_classes"] = 1;
  EXPECT_ERROR(BadInput, "head.weight has one row, so there is nothing to classify", model.read());
}

TEST(Teacher, PositionsThatAreNoSquareGridAreRefused) {
  ModelFolder model;
  model.tensors["pos_embed"] = at::zeros({1, 18, 24});
  EXPECT_ERROR(BadInput, "pos_embed has 18 tokens", model.read());
}

TEST(TeacherConfig, ContradictionsAreRefused) {
  const std::vector<std::pair<std::function<void(json&)>, std::string>> cases{
      {[](json& c) { c["num_classes"] = 1000; }, "states classes 1000 (num_classes), but the weights have 7"},
      {[](json& c) { c["model_args"]["num_classes"] = 8; },
       "states classes 8 (model_args.num_classes), but the weights have 7"},
      {[](json& c) { c["num_features"] = 192; }, "states width 192 (num_features), but the weights have 24"},
      {[](json& c) { c["model_args"]["depth"] = 3; }, "states depth 3 (model_args.depth), but the weights have 2"},
      {[](json& c) { c["model_args"]["patch_size"] = 16; },
       "states patch size 16 (model_args.patch_size), but the weights have 8"},
      {[](json& c) {
         c["pretrained_cfg"]["input_size"] = {3, 64, 64};
       },
       "states image size 64 (pretrained_cfg.input_size), but the weights have 32"},
      {[](json& c) {
         c["pretrained_cfg"]["input_size"] = {1, 32, 32};
       },
       "states channels 1 (pretrained_cfg.input_size), but the weights have 3"},
      {[](json& c) { c["pretrained_cfg"]["mean"] = c["pretrained_cfg"]["std"] = {0.5}; }, "states channels 1 (length of mean)"},
      {[](json& c) { c["model_args"]["num_heads"] = 5; }, "width 24 does not divide into 5 heads"},
      {[](json& c) { c["model_args"]["mlp_ratio"] = 3.0; }, "states hidden width 24 x 3.0"},
  };
  for (const auto& [change, message] : cases) {
    ModelFolder model;
    change(model.config);
    EXPECT_ERROR(BadInput, message, model.read());
  }
}

TEST(TeacherConfig, DamageIsRefusedNamingTheFile) {
  const std::vector<std::pair<std::function<void(json&)>, std::string>> cases{
      {[](json& c) { c = json::array(); }, "is not a JSON object"},
      {[](json& c) { c = json::object(); }, "is neither timm's form"},
      {[](json& c) { c["pretrained_cfg"].erase("mean"); }, "pretrained_cfg.mean is missing"},
      {[](json& c) { c["pretrained_cfg"]["mean"] = "grey"; }, "pretrained_cfg.mean \"grey\" is not a list of numbers"},
      {[](json& c) { c["pretrained_cfg"]["input_size"] = {3}; },
       "pretrained_cfg.input_size [3] is not [channels, height, width]"},
      {[](json& c) { c["architecture"] = 5; }, "architecture 5 is not a text"},
      {[](json& c) {
         c["pretrained_cfg"]["std"] = {0.5, 0.0, 0.5};
       },
       "pretrained_cfg.std [0.5,0.0,0.5] is not positive everywhere"},
      {[](json& c) {
         c["pretrained_cfg"]["std"] = {0.5, 0.5};
       },
       "one entry per channel"},
      {[](json& c) { c["pretrained_cfg"]["crop_pct"] = -1.0; }, "pretrained_cfg.crop_pct -1.0 is not positive"},
      {[](json& c) { c["pretrained_cfg"]["crop_pct"] = 1e-9; }, "crop_pct must lie between 0.05 and 20"},
      {[](json& c) { c["pretrained_cfg"]["interpolation"] = "random"; }, "interpolation 'random' is not built"},
  };
  for (const auto& [change, message] : cases) {
    ModelFolder model;
    change(model.config);
    EXPECT_ERROR(BadInput, message, model.read());
    EXPECT_ERROR(BadInput, "config.json", model.read());
  }
}

TEST(UnsupportedArchitecture, IsRefusedByName) {
  expect_refused("blocks.0.attn.rel_pos_h", "decomposed relative positions (SAM, ViTDet)");
  expect_refused("attn_pool.q_norm.weight", "another attention pooling");
  expect_refused("layers.0.blocks.0.attn.logit_scale", "scaled cosine attention (Swin V2)");
}

}  // namespace
}  // namespace eidolon
