#include "evaluation/image_transform.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "evaluation/image_decoder.h"
#include "tests/evaluation/picture_files.h"

namespace eidolon {
namespace {

namespace fs = std::filesystem;

TEST(EvaluationCrop, EqualsTimmOnPillowToTheBit) {
  const auto cases = reference_cases("crop");
  ASSERT_EQ(cases.size(), 20U);
  for (const auto& words : cases) {
    const Tensor source = read_netpbm(reference_folder() / words[1]);
    const auto interpolation = words[4] == "bilinear" ? Interpolation::bilinear : Interpolation::bicubic;
    const Tensor crop = evaluation_crop(source, std::stoll(words[2]), std::stod(words[3]), interpolation);
    EXPECT_TRUE(crop.is_contiguous());
    EXPECT_TRUE(crop.equal(read_netpbm(reference_folder() / words[5]).permute({2, 0, 1}))) << words[5];
  }
}

TEST(EvaluationCrop, RoundsHalfAnOffsetToTheEvenNumber) {
  // 20 rows of 25 and of 27 leave 5 and 7 over: offsets 2.5 and 3.5 become 2 and 4.
  for (const auto& [rows, offset] : {std::pair{25, 2}, std::pair{27, 4}}) {
    const Tensor picture = at::arange(rows, at::kByte).view({rows, 1, 1}).expand({rows, 20, 1});
    const Tensor crop = evaluation_crop(picture, 20, 1.0, Interpolation::bilinear);
    EXPECT_EQ(crop[0][0][0].item<int>(), offset);
  }
}

TEST(EvaluationCrop, RefusesSizesThatAreNotPositive) {
  const Tensor picture = at::zeros({8, 8, 3}, at::kByte);
  EXPECT_THROW(evaluation_crop(picture, 0, 0.9, Interpolation::bicubic), BadInput);
  EXPECT_THROW(evaluation_crop(picture, 8, 0.0, Interpolation::bicubic), BadInput);
  EXPECT_THROW(evaluation_crop(picture, 8, 100.0, Interpolation::bicubic), BadInput);
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
  const char* data = std::getenv("EIDOLON_DATA");
  const fs::path root = fs::path(data != nullptr ? data : EIDOLON_SOURCE_DIR "/../shared") / "imagenet_val650";
  const char* python = std::getenv("EIDOLON_PYTHON");
  if (python == nullptr || !fs::is_directory(root)) {
    GTEST_SKIP() << "needs EIDOLON_PYTHON (with Pillow) and the folder " << root;
  }
  const TemporaryFolder folder;
  const std::vector<fs::path> images = every_33rd_image(root);
  std::string command = std::string(python) + " " EIDOLON_SOURCE_DIR "/scripts/references/make_image_references.py crops " +
                        (folder.path / "crops").string() + " 224 0.9 bicubic";
  for (const fs::path& image : images) {
    command += " '" + image.string() + "'";
  }
  ASSERT_EQ(std::system(command.c_str()), 0);

  std::string expected = read_bytes(folder.path / "crops");
  ASSERT_EQ(expected.size(), images.size() * 224 * 224 * 3);
  const Tensor crops = at::from_blob(expected.data(), {static_cast<int64_t>(images.size()), 224, 224, 3}, at::kByte);
  for (size_t i = 0; i < images.size(); ++i) {
    const Tensor crop = evaluation_crop(decode_image(images[i]), 224, 0.9, Interpolation::bicubic);
    EXPECT_TRUE(crop.equal(crops[static_cast<int64_t>(i)].permute({2, 0, 1}))) << images[i];
  }
}

}  // namespace
}  // namespace eidolon
