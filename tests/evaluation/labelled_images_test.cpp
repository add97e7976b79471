#include "evaluation/labelled_images.h"

#include <gtest/gtest.h>

#include "evaluation/image_decoder.h"
#include "tests/evaluation/picture_files.h"

namespace eidolon {
namespace {

TEST(LabelledImages, DecodesABatchInOrder) {
  const std::vector<LabelledImage> images = {{reference_folder() / "rgb.png", 4}, {reference_folder() / "grey.jpg", 2}};
  std::vector<std::string> undecodable;
  const LabelledBatch batch = load_batch(images, 3, {16, 0.9}, undecodable);
  EXPECT_TRUE(undecodable.empty());
  EXPECT_EQ(batch.images.sizes(), (std::vector<int64_t>{2, 3, 16, 16}));
  EXPECT_TRUE(batch.labels.equal(at::tensor({4, 2}, at::kLong)));
  for (int64_t i = 0; i < 2; ++i) {
    const Tensor alone = evaluation_crop(decode_image(images[i].path), {16, 0.9});
    EXPECT_TRUE(batch.images[i].equal(alone));
  }
}

TEST(LabelledImages, SkipsAndNamesWhatCannotBeDecoded) {
  const TemporaryFolder folder;
  write_bytes(folder.path / "broken.png", "nothing");
  const std::vector<LabelledImage> images = {{folder.path / "broken.png", 1},
                                             {reference_folder() / "rgb.png", 5},
                                             {folder.path / "absent.jpg", 2},
                                             {reference_folder() / "rgb_420.jpg", 6}};
  std::vector<std::string> undecodable = {"from an earlier batch"};
  const LabelledBatch batch = load_batch(images, 1, {8, 1.0, "bilinear"}, undecodable);
  EXPECT_EQ(batch.images.sizes(), (std::vector<int64_t>{2, 1, 8, 8}));
  EXPECT_TRUE(batch.labels.equal(at::tensor({5, 6}, at::kLong)));
  ASSERT_EQ(undecodable.size(), 3U);
  EXPECT_NE(undecodable[1].find("broken.png: neither"), std::string::npos);
  EXPECT_NE(undecodable[2].find("absent.jpg: no such file"), std::string::npos);
}

TEST(LabelledImages, ReturnsAnEmptyBatchWhenNothingDecodes) {
  const std::vector<LabelledImage> images = {{"absent.jpg", 1}};
  std::vector<std::string> undecodable;
  const LabelledBatch batch = load_batch(images, 3, {8, 1.0, "bilinear"}, undecodable);
  EXPECT_EQ(batch.images.sizes(), (std::vector<int64_t>{0, 3, 8, 8}));
  EXPECT_EQ(batch.labels.numel(), 0);
  EXPECT_EQ(undecodable.size(), 1U);
}

}  // namespace
}  // namespace eidolon
