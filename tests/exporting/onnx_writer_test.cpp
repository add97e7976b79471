#include "exporting/onnx_writer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "storage/atomic_file.h"
#include "tests/exporting/onnx_examples.h"
#include "tests/places.h"
#include "tests/storage/expect_error.h"
#include "tests/storage/full_disk.h"
#include "tests/storage/temporary_folder.h"

namespace eidolon::onnx {
namespace {

using eidolon::testing::FileSizeLimit;
using eidolon::testing::on_small_disk;
using eidolon::testing::TemporaryFolder;
using Names = std::vector<std::string>;
using Paths = std::vector<std::filesystem::path>;

constexpr ExternalData everything_beside{.above = 0, .smallest = 0};

std::string reference(const std::string& name) {
  return read_text(eidolon::testing::test_data() / "exporting" / name);
}

/// A model of nothing but weights, of so many float32 each.
Model weights(const std::vector<int64_t>& sizes) {
  Model model;
  int64_t next = 0;
  for (const int64_t size : sizes) {
    std::string name = "w";
    name += std::to_string(model.initializers.size());
    add_initializer(model, name, from_tensor(at::arange(next, next + size, at::kFloat)));
    next += size;
  }
  return model;
}

/// The entries "offset" and "length" of every tensor that lies outside of the model, in the order of the file. They are
/// found by their bytes: a string of one-byte length behind the tag of its field.
std::vector<std::pair<int64_t, int64_t>> places(const std::string& message) {
  std::vector<std::pair<int64_t, int64_t>> found;
  const auto value_behind = [&](std::size_t at) { return std::stoll(message.substr(at + 2, message[at + 1])); };
  for (std::size_t at = 0; (at = message.find("\x06offset\x12", at)) != std::string::npos; ++at) {
    const std::size_t length = message.find("\x06length\x12", at);
    found.emplace_back(value_behind(at + 7), value_behind(length + 7));
  }
  return found;
}

std::string bytes(const TensorData& data) {
  const auto span = bytes_of(data);
  return {reinterpret_cast<const char*>(span.data()), span.size()};
}

TEST(OnnxWriter, WritesTheBytesOfTheOfficialPackage) {
  const TemporaryFolder folder;
  EXPECT_EQ(write_model(testing::quantized_model(), folder / "a.onnx"), Paths{folder / "a.onnx"});
  EXPECT_TRUE(read_text(folder / "a.onnx") == reference("quantized.onnx"));
  write_model(testing::types_model(), folder / "b.onnx");
  EXPECT_TRUE(read_text(folder / "b.onnx") == reference("types.onnx"));
  EXPECT_EQ(folder.file_names().size(), 2);
}

TEST(OnnxWriter, WritesEqualModelsAsEqualBytes) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "again");
  for (const char* place : {"", "again/"}) {
    write_model(testing::quantized_model(), folder / (std::string(place) + "a.onnx"), everything_beside);
  }
  EXPECT_TRUE(read_text(folder / "a.onnx") == read_text(folder / "again/a.onnx"));
  EXPECT_TRUE(read_text(folder / "a.onnx.data") == read_text(folder / "again/a.onnx.data"));
}

TEST(OnnxWriter, PutsLargeWeightsBesideTheModelAtAlignedPlaces) {
  const TemporaryFolder folder;
  const Model model = weights({300, 10, 1100, 256, 0});  // 1200, 40, 4400, 1024 and 0 bytes
  const ExternalData external{.above = 6000, .smallest = 1024, .alignment = 4096};
  EXPECT_EQ(write_model(model, folder / "a.onnx", external), (Paths{folder / "a.onnx", folder / "a.onnx.data"}));
  const std::string message = read_text(folder / "a.onnx"), data = read_text(folder / "a.onnx.data");
  const std::vector<std::pair<int64_t, int64_t>> expected{{0, 1200}, {4096, 4400}, {12288, 1024}};
  EXPECT_EQ(places(message), expected);
  ASSERT_EQ(data.size(), 12288 + 1024);
  EXPECT_EQ(data.substr(0, 1200), bytes(model.initializers[0].data));
  EXPECT_EQ(data.substr(4096, 4400), bytes(model.initializers[2].data));
  EXPECT_EQ(data.substr(12288, 1024), bytes(model.initializers[3].data));
  EXPECT_EQ(data.substr(1200, 4096 - 1200), std::string(4096 - 1200, '\0'));
  EXPECT_NE(message.find(bytes(model.initializers[1].data)), std::string::npos);
  EXPECT_NE(message.find("\x08location\x12\x0b"
                         "a.onnx.data"),
            std::string::npos);
}

TEST(OnnxWriter, KeepsWeightsInTheModelUpToTheThreshold) {
  const TemporaryFolder folder;
  const Model model = weights({300, 300});
  EXPECT_EQ(write_model(model, folder / "a.onnx", {.above = 2400}).size(), 1);
  EXPECT_EQ(write_model(model, folder / "b.onnx", {.above = 2399}).size(), 2);
  EXPECT_EQ(places(read_text(folder / "b.onnx")), (std::vector<std::pair<int64_t, int64_t>>{{0, 1200}, {65536, 1200}}));
}

TEST(OnnxWriter, RefusesAMessageThatProtobufCannotRead) {
  const TemporaryFolder folder;
  Model model;  // its memory is never touched
  add_initializer(model, "w", from_bits(at::empty({int64_t{1} << 31}, at::kByte), Type::float8e4m3fn));
  EXPECT_ERROR(BadInput, "data file beside it",
               write_model(model, folder / "a.onnx", {.above = std::numeric_limits<uint64_t>::max()}));
  EXPECT_EQ(folder.file_names(), Names{});
}

TEST(OnnxWriter, RefusesTextThatIsNotUtf8) {
  const TemporaryFolder folder;
  Model model = testing::quantized_model();
  model.metadata["file"] = "caf\xe9";
  EXPECT_ERROR(BadInput, "is not UTF-8", write_model(model, folder / "a.onnx"));
  EXPECT_EQ(folder.file_names(), Names{});
}

TEST(OnnxWriter, RefusesAModelThatCouldNotRun) {
  const TemporaryFolder folder;
  Model model = testing::quantized_model();
  model.nodes.erase(model.nodes.begin());
  EXPECT_ERROR(Fault, "which nothing before it gives", write_model(model, folder / "a.onnx"));
  EXPECT_EQ(folder.file_names(), Names{});
}

TEST(OnnxWriter, LeavesNothingOnAFullDisk) {
  const TemporaryFolder folder;
  const auto full = on_small_disk(folder.path(), [&]() -> std::string {
    for (const uint64_t above : {uint64_t{0}, uint64_t{1} << 40}) {
      try {
        write_model(weights({30000}), folder / "a.onnx", {.above = above});
        return "nothing was thrown";
      } catch (const Fault& error) {
        if (std::string(error.what()).find("free some space") == std::string::npos) return error.what();
      }
      if (!folder.file_names().empty()) return folder.file_names().front() + " is left";
    }
    return "";
  });
  if (!full) GTEST_SKIP() << "this user may not mount a small file system";
  EXPECT_EQ(*full, "");
}

TEST(OnnxWriter, LeavesTheModelAndWeightsThatWereThereIfItFails) {
  const TemporaryFolder folder;
  write_model(weights({10}), folder / "a.onnx", everything_beside);
  const std::string model = read_text(folder / "a.onnx"), data = read_text(folder / "a.onnx.data");
  {
    const FileSizeLimit limit(1000);
    EXPECT_ERROR(Fault, "free some space", write_model(weights({1000}), folder / "a.onnx", everything_beside));
  }
  EXPECT_EQ(folder.file_names().size(), 2);
  EXPECT_EQ(read_text(folder / "a.onnx"), model);
  EXPECT_EQ(read_text(folder / "a.onnx.data"), data);
}

TEST(OnnxWriter, LeavesNoModelBesideWeightsOfAnother) {
  const TemporaryFolder folder;
  write_text_atomically(folder / "a.onnx", "an earlier model");
  std::filesystem::create_directories(folder / "a.onnx.data/in the way");  // what is renamed cannot replace it
  EXPECT_ERROR(Fault, "rename", write_model(weights({10}), folder / "a.onnx", everything_beside));
  EXPECT_EQ(folder.file_names(), Names{"a.onnx.data"});
}

}  // namespace
}  // namespace eidolon::onnx
