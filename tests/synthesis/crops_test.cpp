#include "synthesis/crops.h"

#include "tests/synthesis/small_teacher.h"

namespace eidolon {
namespace {

TEST(Crops, AreLibTorchsBilinearEnlargementOfTheQuadrants) {
  at::manual_seed(1);
  for (const int64_t size : {8, 14, 32, 15}) {
    const Tensor images = at::randn({3, 2, size, size});
    const int64_t side = size / 2;
    const std::vector<int64_t> quadrants{11, 0, 5, 6, 3, 8};
    const Tensor crops = enlarged_quadrants(images, at::tensor(quadrants, at::kLong));
    ASSERT_EQ(crops.sizes(), at::IntArrayRef({6, 2, size, size}));
    for (size_t k = 0; k < quadrants.size(); ++k) {
      const int64_t image = quadrants[k] / 4, top = quadrants[k] / 2 % 2 * side, left = quadrants[k] % 2 * side;
      const Tensor slice = images.narrow(0, image, 1).narrow(2, top, side).narrow(3, left, side);
      const Tensor expected = at::upsample_bilinear2d(slice, {size, size}, false);
      EXPECT_LT(testing::largest_difference(crops.narrow(0, static_cast<int64_t>(k), 1), expected), 1e-5) << size << ", " << k;
    }
  }
}

TEST(Crops, BilinearMatrixRowsAreWeights) {
  for (const auto& [to, from] : std::vector<std::pair<int64_t, int64_t>>{{224, 112}, {7, 3}, {5, 5}, {4, 1}}) {
    const Tensor matrix = bilinear_matrix(to, from);
    EXPECT_LT(testing::largest_difference(matrix.sum(1), at::ones({to})), 1e-6);
    EXPECT_GE(matrix.min().item<double>(), 0.0);
  }
  EXPECT_TRUE(at::equal(bilinear_matrix(5, 5), at::eye(5)));
}

TEST(Crops, GradientIsLibTorchs) {
  at::manual_seed(2);
  const Tensor images = at::randn({2, 3, 12, 12}), weights = at::randn({2, 3, 12, 12});
  const Tensor ours = testing::gradient_of(
      [&](const Tensor& x) {
        return (enlarged_quadrants(x, at::tensor(std::vector<int64_t>{2, 5}, at::kLong)) * weights).sum();
      },
      images);
  const Tensor theirs = testing::gradient_of(
      [&](const Tensor& x) {
        const Tensor slices =
            at::cat({x.narrow(0, 0, 1).narrow(2, 6, 6).narrow(3, 0, 6), x.narrow(0, 1, 1).narrow(2, 0, 6).narrow(3, 6, 6)});
        return (at::upsample_bilinear2d(slices, {12, 12}, false) * weights).sum();
      },
      images);
  EXPECT_LT(testing::largest_difference(ours, theirs), 1e-5);
}

}  // namespace
}  // namespace eidolon
