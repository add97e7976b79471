#include "evaluation/pillow_resize.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/evaluation/picture_files.h"

namespace eidolon {
namespace {

TEST(PillowResize, EqualsPillowToTheBit) {
  const auto cases = reference_cases("resize");
  ASSERT_GE(cases.size(), 20U);
  for (const auto& words : cases) {
    const Tensor expected = read_netpbm(reference_folder() / words[3]);
    const auto interpolation = words[2] == "bilinear" ? Interpolation::bilinear : Interpolation::bicubic;
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
  for (const auto interpolation : {Interpolation::bilinear, Interpolation::bicubic}) {
    EXPECT_TRUE(resize_like_pillow(flat, 17, 93, interpolation).equal(at::full({17, 93, 3}, 137, at::kByte)));
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
