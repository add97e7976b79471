#include "evaluation/pillow_resize.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/evaluation/picture_files.h"

namespace eidolon {
namespace {

TEST(PillowResize, EqualsPillowToTheBit) {
  const auto cases = reference_cases("resize");
  ASSERT_GE(cases.size(), 50U);
  for (const auto& words : cases) {
    const Tensor expected = read_netpbm(reference_folder() / words[3]);
    const Interpolation interpolation = interpolation_named(words[2]);
    const Tensor source = read_netpbm(reference_folder() / words[1]);
    const Tensor resized = resize_like_pillow(source, expected.size(0), expected.size(1), interpolation);
    EXPECT_TRUE(resized.equal(expected)) << words[3];
  }
}

TEST(PillowResize, TakesPicturesThatAreNotContiguous) {
  const Tensor source = read_netpbm(reference_folder() / "source.ppm");
  const Tensor turned = source.transpose(0, 1);
  EXPECT_TRUE(resize_like_pillow(turned, 11, 9, Interpolation::bicubic)
                  .equal(resize_like_pillow(turned.contiguous(), 11, 9, Interpolation::bicubic)));
}

TEST(PillowResize, KeepsAFlatPictureFlat) {
  const Tensor flat = at::full({40, 50, 3}, 137, at::kByte);
  for (const char* name : {"nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"}) {
    EXPECT_TRUE(resize_like_pillow(flat, 17, 93, interpolation_named(name)).equal(at::full({17, 93, 3}, 137, at::kByte)));
  }
}

TEST(PillowResize, NearestTakesWhatPillowTakesAlsoWhereItsSumOfStepsHasErred) {
  // 49 samples of 343 and 343 of 49, the positions of which meet whole numbers: from Image.resize of Pillow.
  const auto cases = reference_cases("nearest");
  ASSERT_EQ(cases.size(), 4U);
  for (const auto& words : cases) {
    const Tensor expected = read_netpbm(reference_folder() / words[3]);
    const Tensor source = read_netpbm(reference_folder() / words[1]);
    EXPECT_TRUE(resize_like_pillow(source, expected.size(0), expected.size(1), Interpolation::nearest).equal(expected))
        << words[3];
  }
}

TEST(PillowResize, UnknownFiltersAreRefusedByName) {
  try {
    interpolation_named("random");
    FAIL() << "'random' was taken";
  } catch (const BadInput& error) {
    EXPECT_NE(std::string(error.what()).find("'random' is not built"), std::string::npos);
  }
}

TEST(PillowResize, RefusesWhatIsNoPicture) {
  const Tensor picture = at::zeros({4, 4, 3}, at::kByte);
  EXPECT_THROW(resize_like_pillow(picture, 0, 4, Interpolation::bilinear), BadInput);
  EXPECT_THROW(resize_like_pillow(picture, 4, -1, Interpolation::bilinear), BadInput);
  EXPECT_THROW(resize_like_pillow(picture.to(at::kFloat), 2, 2, Interpolation::bilinear), BadInput);
  EXPECT_THROW(resize_like_pillow(at::zeros({4, 4, 2}, at::kByte), 2, 2, Interpolation::bilinear), BadInput);
  EXPECT_THROW(resize_like_pillow(at::zeros({0, 4, 3}, at::kByte), 2, 2, Interpolation::bilinear), BadInput);
}

}  // namespace
}  // namespace eidolon
