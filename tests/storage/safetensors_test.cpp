#include "storage/safetensors.h"

#include "storage/atomic_file.h"
#include "tests/places.h"
#include "tests/storage/expect_error.h"
#include "tests/storage/full_disk.h"
#include "tests/storage/python.h"
#include "tests/storage/safetensors_fixture.h"
#include "tests/storage/temporary_folder.h"

namespace eidolon {
namespace {

using testing::safetensors_bytes;
using testing::TemporaryFolder;
using testing::write_bytes;

/// The same values stand in safetensors_check.py.
TensorMap sample() {
  TensorMap tensors;
  const Tensor counting = at::arange(6, at::kDouble).view({2, 3});
  tensors["double"] = counting / 4;
  tensors["single"] = (counting / 4).to(at::kFloat);
  tensors["half"] = (counting / 4).to(at::kHalf);
  tensors["brain"] = (counting / 4).to(at::kBFloat16);
  for (const auto& [name, dtype] :
       {std::pair{"int64", at::kLong}, {"int32", at::kInt}, {"int16", at::kShort}, {"int8", at::kChar}}) {
    tensors[name] = (counting - 3).to(dtype);
  }
  tensors["uint8"] = counting.to(at::kByte);
  tensors["bool"] = counting.gt(2);
  tensors["scalar"] = at::full({}, 1.5, at::kFloat);
  tensors["empty"] = at::empty({0, 4}, at::kFloat);
  return tensors;
}

void expect_equal(const TensorMap& actual, const TensorMap& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    ASSERT_TRUE(actual.contains(name)) << name;
    EXPECT_EQ(actual.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(actual.at(name).equal(tensor)) << name;
  }
}

TEST(Safetensors, ReadsAHandMadeFile) {
  const TemporaryFolder folder;
  const std::string header = R"({"__metadata__":{"format":"pt"},"b":{"dtype":"I16","shape":[2],"data_offsets":[2,6]},)"
                             R"("a":{"dtype":"U8","shape":[1,2],"data_offsets":[0,2]}}   )";
  write_bytes(folder / "f", safetensors_bytes(header, std::string("\x01\xff\x02\x00\xfe\xff", 6)));
  const SafetensorsFile file = read_safetensors(folder / "f");
  EXPECT_EQ(file.metadata, (std::map<std::string, std::string>{{"format", "pt"}}));
  expect_equal(file.tensors, {{"a", at::tensor({1, 255}, at::kByte).view({1, 2})}, {"b", at::tensor({2, -2}, at::kShort)}});
}

TEST(Safetensors, ReadsBackWhatItWrites) {
  const TemporaryFolder folder;
  const std::map<std::string, std::string> metadata{{"text", "ümlaut \"quoted\""}};
  write_safetensors(folder / "f", sample(), metadata);
  const SafetensorsFile file = read_safetensors(folder / "f");
  EXPECT_EQ(file.metadata, metadata);
  expect_equal(file.tensors, sample());
}

TEST(Safetensors, WritesStridedTensorsInTheirLogicalOrder) {
  const TemporaryFolder folder;
  const Tensor transposed = at::arange(6, at::kFloat).view({2, 3}).t();
  write_safetensors(folder / "f", {{"t", transposed}});
  EXPECT_TRUE(read_safetensors(folder / "f").tensors.at("t").equal(transposed));
}

TEST(Safetensors, AlignsEveryTensorToItsElements) {
  const TemporaryFolder folder;
  write_safetensors(folder / "f", {{"a", at::ones({3}, at::kByte)}, {"b", at::ones({1}, at::kDouble)}});
  const std::string bytes = read_text(folder / "f");
  EXPECT_EQ(static_cast<unsigned char>(bytes[0]) % 8, 0);
  EXPECT_NE(bytes.find(R"("b":{"dtype":"F64","shape":[1],"data_offsets":[0,8]})"), std::string::npos) << bytes;
}

TEST(Safetensors, AgreesWithThePythonPackageBothWays) {
  SKIP_WITHOUT_PYTHON();
  const TemporaryFolder folder;
  write_safetensors(folder / "ours", sample(), {{"made by", "Eidolon"}});
  const auto [output, status] = testing::run_python("safetensors_check.py", {folder / "ours", folder / "theirs"});
  ASSERT_EQ(status, 0) << output;
  const SafetensorsFile theirs = read_safetensors(folder / "theirs");
  expect_equal(theirs.tensors, sample());
  EXPECT_EQ(theirs.metadata.at("made by"), "the package");
  EXPECT_EQ(theirs.content_hash, read_safetensors(folder / "ours").content_hash);  // another layout, the same content
}

TEST(Safetensors, HashDependsOnNamesDtypesShapesAndValuesAlone) {
  const TemporaryFolder folder;
  const auto hash_of = [&](const TensorMap& tensors, const std::map<std::string, std::string>& metadata = {}) {
    write_safetensors(folder / "f", tensors, metadata);
    return read_safetensors(folder / "f").content_hash;
  };
  const Tensor zeros = at::zeros({4}, at::kFloat);
  const std::string hash = hash_of({{"a", zeros}});
  EXPECT_EQ(hash.size(), 64);
  EXPECT_EQ(hash, hash_of({{"a", zeros.clone()}}, {{"note", "metadata is not content"}}));
  EXPECT_NE(hash, hash_of({{"b", zeros}}));
  EXPECT_NE(hash, hash_of({{"a", zeros.view({2, 2})}}));
  EXPECT_NE(hash, hash_of({{"a", zeros.to(at::kInt)}}));
  EXPECT_NE(hash, hash_of({{"a", at::tensor({0.f, 0.f, 0.f, 1.f})}}));
}

TEST(Safetensors, RefusesToWriteWhatTheFormatCannotHold) {
  const TemporaryFolder folder;
  const Tensor one = at::ones({1});
  EXPECT_ERROR(BadInput, "ComplexFloat", write_safetensors(folder / "f", {{"c", at::ones({1}, at::kComplexFloat)}}));
  EXPECT_ERROR(BadInput, "__metadata__", write_safetensors(folder / "f", {{"__metadata__", one}}));
  EXPECT_ERROR(BadInput, "UTF-8", write_safetensors(folder / "f", {{"\xff", one}}));
  EXPECT_ERROR(BadInput, "UTF-8", write_safetensors(folder / "f", {{"a", one}}, {{"key", "\xff"}}));
  EXPECT_ERROR(BadInput, "undefined", write_safetensors(folder / "f", {{"a", Tensor()}}));
  EXPECT_TRUE(folder.file_names().empty());
}

TEST(Safetensors, LeavesNothingWhenTheDiskIsFull) {
  const TemporaryFolder folder;
  const testing::FileSizeLimit limit(1000);
  EXPECT_ERROR(Fault, "free some space", write_safetensors(folder / "f", {{"a", at::ones({10'000})}}));
  EXPECT_TRUE(folder.file_names().empty());
}

// The count of parameters is the one that the DeiT paper's model zoo and timm state for DeiT-Tiny (5.7 million).
TEST(Safetensors, ReadsRealWeights) {
  const auto path = testing::shared_data() / "models/deit_tiny_patch16_224/model.safetensors";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no real weights at " << path << "; set EIDOLON_DATA";
  int64_t parameters = 0;
  for (const auto& [name, tensor] : read_safetensors(path).tensors) parameters += tensor.numel();
  EXPECT_EQ(parameters, 5'717'416);
}

TEST(Safetensors, NamesAPathThatIsNoFile) {
  const TemporaryFolder folder;
  EXPECT_ERROR(BadInput, "absent.safetensors", read_safetensors(folder / "absent.safetensors"));
  EXPECT_ERROR(BadInput, folder.path().string(), read_safetensors(folder.path()));
}

}  // namespace
}  // namespace eidolon
