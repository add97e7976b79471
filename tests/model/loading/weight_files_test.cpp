#include "model/loading/weight_files.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "model/loading/teacher.h"
#include "storage/safetensors.h"
#include "tests/model/model_data.h"
#include "tests/storage/expect_error.h"
#include "tests/storage/temporary_folder.h"

namespace eidolon {
namespace {

using nlohmann::json;
using testing::model_data;
using testing::TemporaryFolder;

/// The committed small model in two files and an index, as transformers writes large ones.
struct ShardedFolder {
  TemporaryFolder folder;
  std::map<std::string, TensorMap> files;
  json index;

  ShardedFolder() {
    int64_t number = 0;
    for (const auto& [name, tensor] : read_safetensors(model_data("tiny_random") / "model.safetensors").tensors) {
      const std::string file = number++ % 2 == 0 ? "model-00001-of-00002.safetensors" : "model-00002-of-00002.safetensors";
      files[file][name] = tensor;
      index["weight_map"][name] = file;
    }
    index["metadata"]["total_size"] = 1;
    std::filesystem::copy_file(model_data("tiny_random") / "config.json", folder / "config.json");
  }

  Weights read() {
    for (const auto& [file, tensors] : files) write_safetensors(folder / file, tensors);
    std::ofstream(folder / "model.safetensors.index.json") << index.dump();
    return read_weights(folder.path());
  }
};

TEST(WeightFiles, SeveralFilesWithAnIndexAreTheSameTeacherAsOne) {
  ShardedFolder sharded;
  const Weights weights = sharded.read();
  const SafetensorsFile whole = read_safetensors(model_data("tiny_random") / "model.safetensors");
  EXPECT_EQ(weights.content_hash, whole.content_hash);
  ASSERT_EQ(weights.tensors.size(), whole.tensors.size());
  for (const auto& [name, tensor] : whole.tensors) EXPECT_TRUE(at::equal(weights.tensors.at(name), tensor)) << name;
  EXPECT_EQ(read_teacher(sharded.folder.path()).content_hash, read_teacher(model_data("tiny_random")).content_hash);
}

TEST(WeightFiles, AnIndexCannotReachOutOfItsFolder) {
  for (const char* name : {"../model.safetensors", "/etc/model.safetensors", "a/b.safetensors", "..\\b.safetensors", "",
                           ".safetensors", "pytorch_model-00001-of-00002.bin"}) {
    ShardedFolder sharded;
    sharded.index["weight_map"]["norm.weight"] = name;
    EXPECT_ERROR(BadInput, "is not the name of a .safetensors file beside the index", sharded.read());
  }
}

TEST(WeightFiles, AnIndexAndItsFilesMustSayTheSame) {
  ShardedFolder missing;
  missing.index["weight_map"]["extra.weight"] = "model-00001-of-00002.safetensors";
  EXPECT_ERROR(BadInput, "'extra.weight' is not in model-00001-of-00002.safetensors", missing.read());
  ShardedFolder doubled;
  doubled.files["model-00001-of-00002.safetensors"]["norm.weight"] = at::zeros({24});
  doubled.files["model-00002-of-00002.safetensors"]["norm.weight"] = at::zeros({24});
  EXPECT_ERROR(BadInput, "does not say that 'norm.weight' lies in", doubled.read());
  ShardedFolder absent;
  absent.index["weight_map"]["norm.weight"] = "model-00003-of-00003.safetensors";
  EXPECT_ERROR(BadInput, "names model-00003-of-00003.safetensors, which is not there", absent.read());
  for (const json& broken : {json::array(), json::object(), json{{"weight_map", 3}}, json{{"weight_map", {{"a", 1}}}}}) {
    ShardedFolder sharded;
    sharded.index = broken;
    EXPECT_ERROR(BadInput, "has no weight_map", sharded.read());
  }
}

TEST(WeightFiles, WeightsOfOtherFormsAreNamedWithTheRemedy) {
  const TemporaryFolder folder;
  EXPECT_ERROR(BadInput, "has no model.safetensors; a teacher is a folder", read_weights(folder.path()));
  for (const char* name : {"pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "last.ckpt", "best.pth"}) {
    std::ofstream(folder / name) << "x";
  }
  EXPECT_ERROR(BadInput,
               "has no model.safetensors, but best.pth, flax_model.msgpack, last.ckpt, pytorch_model.bin, tf_model.h5; only "
               "safetensors is read",
               read_weights(folder.path()));
  EXPECT_ERROR(BadInput, "safetensors.torch.save_file(model.state_dict()", read_weights(folder.path()));
  std::ofstream(folder / "open_clip_model.safetensors") << "x";
  EXPECT_ERROR(BadInput, "give the file with the weights the name model.safetensors", read_weights(folder.path()));
}

TEST(WeightFiles, AnIndexThatNestsWithoutEndIsRefused) {
  ShardedFolder sharded;
  std::ofstream(sharded.folder / "model.safetensors.index.json") << "{\"weight_map\":" << std::string(1'000'000, '[');
  EXPECT_ERROR(BadInput, "has no weight_map", read_weights(sharded.folder.path()));
}

}  // namespace
}  // namespace eidolon
