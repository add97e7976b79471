#include "synthesis/terms/total_variation.h"

#include "tests/device/test_device.h"
#include "tests/synthesis/small_teacher.h"

namespace eidolon {
namespace {

/// The four norms as loops over pixels.
double brute_force_variation(const Tensor& image) {
  const Tensor on_cpu = image.cpu();
  const auto pixel = on_cpu.accessor<double, 3>();
  const int64_t channels = image.size(0), height = image.size(1), width = image.size(2);
  double across = 0, down = 0, falling = 0, rising = 0;
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        const bool right = x + 1 < width, below = y + 1 < height;
        if (right) across += std::pow(pixel[c][y][x + 1] - pixel[c][y][x], 2);
        if (below) down += std::pow(pixel[c][y + 1][x] - pixel[c][y][x], 2);
        if (right && below) falling += std::pow(pixel[c][y + 1][x + 1] - pixel[c][y][x], 2);
        if (right && below) rising += std::pow(pixel[c][y][x + 1] - pixel[c][y + 1][x], 2);
      }
    }
  }
  return std::sqrt(across) + std::sqrt(down) + std::sqrt(falling) + std::sqrt(rising);
}

TEST(TotalVariation, IsTheDistanceOfTheFourNormsFromTheTarget) {
  const Tensor images = testing::small_pixels(3);
  const Tensor targets = at::tensor({0.0, 1000.0, 60.0}, at::kDouble).to(test_device());
  const Tensor loss = total_variation_loss(images, targets);
  ASSERT_EQ(loss.sizes(), at::IntArrayRef({3}));
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(loss[i].item<double>(), std::abs(brute_force_variation(images[i]) - targets[i].item<double>()), 1e-9);
  }
}

TEST(TotalVariation, GradientMatchesDifferencesOnBothSidesOfTheTarget) {
  const Tensor targets = at::tensor({1.0, 1000.0}, at::kDouble).to(test_device());
  testing::expect_gradient_matches_differences([&](const Tensor& x) { return total_variation_loss(x, targets).sum(); },
                                               testing::small_pixels(2), 1e-4, 1e-6);
}

TEST(TotalVariation, OfAFlatImageHasAFiniteGradient) {
  const Tensor gradient =
      testing::gradient_of([&](const Tensor& x) { return total_variation_loss(x, at::full({1}, 3.0, at::kDouble)).sum(); },
                           at::zeros({1, 3, 16, 16}, at::kDouble));
  EXPECT_TRUE(gradient.isfinite().all().item<bool>());
}

TEST(TotalVariation, ScaleIsOneAtImageNetsSizeAndNormalisation) {
  Preprocessing imagenet{224, {0.485, 0.456, 0.406}, {0.226, 0.226, 0.226}, 0.9, "bicubic"};
  EXPECT_NEAR(variation_scale(imagenet), 1.0, 1e-12);
  imagenet.std = {0.5, 0.5, 0.5};
  EXPECT_NEAR(variation_scale(imagenet), 0.452, 1e-12);
  imagenet.image_size = 112;
  EXPECT_NEAR(variation_scale(imagenet), 0.226, 1e-12);
  imagenet.mean = {0.5}, imagenet.std = {0.226};
  EXPECT_NEAR(variation_scale(imagenet), std::sqrt(112.0 * 112.0 / 150528.0), 1e-12);
}

TEST(TotalVariation, TargetsLieInTheScaledRangeAndFollowTheGlobalIndex) {
  const Preprocessing preprocessing = testing::small_preprocessing();
  const Tensor targets = draw_variation_targets(1, preprocessing, {0, 8});
  const double scale = variation_scale(preprocessing);
  EXPECT_GE(targets.min().item<double>(), 442 * scale * (1 - 1e-6));
  EXPECT_LE(targets.max().item<double>(), 530 * scale * (1 + 1e-6));
  EXPECT_TRUE(at::equal(draw_variation_targets(1, preprocessing, {4, 4}), targets.narrow(0, 4, 4)));
  EXPECT_NE(targets[0].item<float>(), targets[1].item<float>());
}

}  // namespace
}  // namespace eidolon
