#include "evaluation/image_transform.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <tuple>

#include "base/error.h"
#include "evaluation/image_decoder.h"
#include "tests/evaluation/picture_files.h"
#include "tests/places.h"

namespace eidolon {
namespace {

namespace fs = std::filesystem;

TEST(EvaluationCrop, EqualsTimmOnPillowToTheBit) {
  const auto cases = reference_cases("crop");
  ASSERT_EQ(cases.size(), 20U);
  for (const auto& words : cases) {
    const Tensor source = read_netpbm(reference_folder() / words[1]);
    const Tensor crop = evaluation_crop(source, {std::stoll(words[2]), std::stod(words[3]), words[4]});
    EXPECT_TRUE(crop.is_contiguous());
    EXPECT_TRUE(crop.equal(read_netpbm(reference_folder() / words[5]).permute({2, 0, 1}))) << words[5];
  }
}

/// A dump of a real processor: its file, and how its settings read here ("both" for "both sides").
TEST(EvaluationCrop, EqualsTheRealProcessorsOnPicturesThatAreNotSquare) {
  const auto cases = reference_cases("processor", "processors/index.txt");
  ASSERT_GE(cases.size(), 60U);
  for (const auto& words : cases) {
    const bool timm = words[2] == "timm";
    const ImageTransform transform{
        std::stoll(words[3]),      std::stod(words[4]),  words[5], words[6] + (words[6] == "both" ? " sides" : " side"),
        timm ? "to even" : "down", {0.485, 0.456, 0.406}};
    const Tensor crop = evaluation_crop(read_netpbm(reference_folder() / words[1]), transform);
    EXPECT_TRUE(crop.equal(read_netpbm(reference_folder() / words[7]).permute({2, 0, 1}))) << words[7];
  }
}

TEST(EvaluationCrop, RoundsHalfAnOffsetAsItIsTold) {
  // 20 rows of 25 and of 27 leave 5 and 7 over: offsets 2.5 and 3.5 become 2 and 4, or 2 and 3.
  for (const auto& [rows, to_even, down] : {std::tuple{25, 2, 2}, std::tuple{27, 4, 3}}) {
    const Tensor picture = at::arange(rows, at::kByte).view({rows, 1, 1}).expand({rows, 20, 1});
    ImageTransform transform{20, 1.0, "bilinear"};
    EXPECT_EQ(evaluation_crop(picture, transform)[0][0][0].item<int>(), to_even);
    transform.crop_offset = "down";
    EXPECT_EQ(evaluation_crop(picture, transform)[0][0][0].item<int>(), down);
  }
}

TEST(EvaluationCrop, RefusesWhatIsNotPositiveOrNotKnown) {
  const Tensor picture = at::zeros({8, 8, 3}, at::kByte);
  EXPECT_THROW(evaluation_crop(picture, {0, 0.9}), BadInput);
  EXPECT_THROW(evaluation_crop(picture, {8, 0.0}), BadInput);
  EXPECT_THROW(evaluation_crop(picture, {8, 100.0}), BadInput);
  EXPECT_THROW(evaluation_crop(picture, {8, 0.9, "cubic"}), BadInput);
  EXPECT_THROW(evaluation_crop(picture, {8, 0.9, "bicubic", "some side"}), BadInput);
  EXPECT_THROW(evaluation_crop(picture, {8, 0.9, "bicubic", "both sides", "up"}), BadInput);
  EXPECT_THROW(evaluation_crop(picture, {8, 0.9, "bicubic", "longer side", "to even", {0.5}}), BadInput);
}

std::vector<fs::path> every_33rd_image(const fs::path& root) {
  std::vector<fs::path> images, chosen;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (entry.is_regular_file()) {
      images.push_back(entry.path());
    }
  }
  std::sort(images.begin(), images.end());
  for (size_t i = 0; i < images.size(); i += 33) {
    chosen.push_back(images[i]);
  }
  return chosen;
}

TEST(EvaluationCrop, EqualsPillowOnPhotographs) {
  const fs::path root = testing::shared_data() / "imagenet_val650";
  const char* python = std::getenv("EIDOLON_PYTHON");
  if (python == nullptr || !fs::is_directory(root)) {
    GTEST_SKIP() << "needs EIDOLON_PYTHON (with Pillow) and the folder " << root;
  }
  const TemporaryFolder folder;
  const std::vector<fs::path> images = every_33rd_image(root);
  const fs::path script = testing::source_folder() / "scripts" / "references" / "make_image_references.py";
  std::string command =
      std::string(python) + " " + script.string() + " crops " + (folder.path / "crops").string() + " 224 0.9 bicubic";
  for (const fs::path& image : images) {
    command += " '" + image.string() + "'";
  }
  ASSERT_EQ(std::system(command.c_str()), 0);

  std::string expected = read_bytes(folder.path / "crops");
  ASSERT_EQ(expected.size(), images.size() * 224 * 224 * 3);
  const Tensor crops = at::from_blob(expected.data(), {static_cast<int64_t>(images.size()), 224, 224, 3}, at::kByte);
  for (size_t i = 0; i < images.size(); ++i) {
    const Tensor crop = evaluation_crop(decode_image(images[i]), {224, 0.9, "bicubic"});
    EXPECT_TRUE(crop.equal(crops[static_cast<int64_t>(i)].permute({2, 0, 1}))) << images[i];
  }
}

}  // namespace
}  // namespace eidolon
