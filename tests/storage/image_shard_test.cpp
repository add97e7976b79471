#include "storage/image_shard.h"

#include "storage/tensor_archive.h"
#include "tests/storage/expect_error.h"
#include "tests/storage/python.h"
#include "tests/storage/temporary_folder.h"

namespace eidolon {
namespace {

using testing::TemporaryFolder;

/// The same values stand in read_shard.py.
ImageShard sample() {
  const auto counting = [](std::vector<int64_t> shape, at::ScalarType dtype) {
    return at::arange(c10::multiply_integers(shape)).view(shape).to(dtype);
  };
  ImageShard shard;
  shard.images = counting({3, 3, 8, 6}, at::kByte);  // 432 values: bytes wrap
  shard.global_index = at::arange(16, 19);
  shard.semantic_classes = counting({3, 4}, at::kInt) - 1;
  shard.crop_boxes = counting({3, 4, 4}, at::kInt) - 1;
  shard.class_logits = counting({3, 4}, at::kFloat) / 2;
  shard.soft_labels = counting({3, 10}, at::kFloat) / 64;
  shard.losses = counting({3, 2}, at::kFloat) / 8;
  shard.loss_names = {"prior", "total_variation"};
  shard.attributes = {{"synthesis_id", std::string(64, 'a')}, {"data_free", "true"}, {"job", "name = \"größe\"\n"}};
  return shard;
}

TEST(ImageShard, ReadsBackWhatItWrites) {
  const TemporaryFolder folder;
  write_shard(folder / "s.h5", sample());
  const ImageShard read = read_shard(folder / "s.h5");
  const ImageShard expected = sample();
  for (const auto field : {&ImageShard::images, &ImageShard::global_index, &ImageShard::semantic_classes,
                           &ImageShard::crop_boxes, &ImageShard::class_logits, &ImageShard::soft_labels, &ImageShard::losses}) {
    EXPECT_EQ((read.*field).scalar_type(), (expected.*field).scalar_type());
    EXPECT_TRUE((read.*field).equal(expected.*field));
  }
  EXPECT_EQ(read.loss_names, expected.loss_names);
  std::map<std::string, std::string> attributes = expected.attributes;
  attributes.insert({{"layout", "NCHW"}, {"channels", "RGB"}});
  EXPECT_EQ(read.attributes, attributes);
}

TEST(ImageShard, KeepsNoiseWithoutLabels) {
  const TemporaryFolder folder;
  ImageShard noise;
  noise.images = at::zeros({1, 1, 4, 4}, at::kByte);
  noise.global_index = at::tensor({7}, at::kLong);
  write_shard(folder / "s.h5", noise);
  const ImageShard read = read_shard(folder / "s.h5");
  EXPECT_TRUE(read.images.equal(noise.images));
  EXPECT_FALSE(read.soft_labels.defined());
  EXPECT_TRUE(read.loss_names.empty());
  EXPECT_EQ(read_archive(folder / "s.h5").tensors.size(), 2);
  EXPECT_EQ(read.attributes.at("channels"), "L");
}

TEST(ImageShard, IsReadByFiveLinesOfH5pyAndVerifiedBySha256sum) {
  SKIP_WITHOUT_PYTHON();
  const TemporaryFolder folder;
  write_shard(folder / "s.h5", sample());
  const auto [output, status] = testing::run_python("read_shard.py", {folder / "s.h5"});
  EXPECT_EQ(status, 0) << output;
}

TEST(ImageShard, RefusesToWriteOtherShapesAndDtypes) {
  const TemporaryFolder folder;
  const auto refuse = [&](const std::string& cause, auto&& change) {
    ImageShard shard = sample();
    change(shard);
    EXPECT_ERROR(Fault, cause, write_shard(folder / "s.h5", shard));
  };
  refuse("no /images", [](ImageShard& s) { s.images = Tensor(); });
  refuse("no /global_index", [](ImageShard& s) { s.global_index = Tensor(); });
  refuse("dtype of /images", [](ImageShard& s) { s.images = s.images.to(at::kFloat); });
  refuse("shape of /images", [](ImageShard& s) { s.images = s.images[0]; });
  refuse("shape of /global_index", [](ImageShard& s) { s.global_index = at::arange(4); });
  refuse("shape of /crop_boxes", [](ImageShard& s) { s.crop_boxes = s.crop_boxes.flatten(1); });
  refuse("shape of /losses", [](ImageShard& s) { s.losses = s.losses.flatten(); });
  refuse("differ in length", [](ImageShard& s) { s.loss_names.pop_back(); });
  refuse("differ in length", [](ImageShard& s) { s.losses = Tensor(); });
  EXPECT_TRUE(folder.file_names().empty());
}

TEST(ImageShard, RefusesASoundArchiveOfAnotherKind) {
  const TemporaryFolder folder;
  const auto refuse = [&](const std::string& cause, const TensorArchive& archive) {
    write_archive(folder / "s.h5", "title", archive);
    EXPECT_ERROR(Fault, cause, read_shard(folder / "s.h5"));
  };
  const Tensor images = at::zeros({1, 3, 2, 2}, at::kByte);
  refuse("no /images", {});
  refuse("no /global_index", {{{"images", images}}, {}});
  refuse("shape of /images", {{{"images", at::zeros({}, at::kByte)}, {"global_index", at::arange(1)}}, {}});
  refuse("not a JSON list", {{{"images", images}, {"global_index", at::arange(1)}}, {{"loss_names", "{"}}});
  refuse("not a JSON list", {{{"images", images}, {"global_index", at::arange(1)}}, {{"loss_names", "[1]"}}});
}

}  // namespace
}  // namespace eidolon
