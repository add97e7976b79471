#include "synthesis/image_statistics.h"

#include "tests/synthesis/references.h"

namespace eidolon {
namespace {

using testing::largest_difference;
using testing::reference;

TEST(ImageStatistics, SpectrumIsThatOfTheMirroredImage) {
  const Tensor spectrum = image_statistics(reference("statistics.images"), 4).spectrum;
  EXPECT_LT(largest_difference(spectrum, reference("statistics.spectrum")), 1e-9);
}

TEST(ImageStatistics, LossSumsTheFourDistances) {
  const ImageStatistics kept = image_statistics(reference("statistics.kept"), 4);
  const Tensor loss = statistics_loss(image_statistics(reference("statistics.images"), 4), kept);
  EXPECT_LT(largest_difference(loss, reference("statistics.loss")), 1e-9);
}

TEST(ImageStatistics, GradientMatchesDifferences) {
  const ImageStatistics kept = image_statistics(reference("statistics.kept"), 4);
  const auto loss = [&](const Tensor& x) { return statistics_loss(image_statistics(x, 4), kept).sum(); };
  testing::expect_gradient_matches_differences(loss, reference("statistics.images"), 1e-5, 1e-6);
}

TEST(ImageStatistics, LossVanishesAtTheStartAndKnowsEachChange) {
  const Tensor images = reference("statistics.kept");
  const ImageStatistics kept = image_statistics(images, 4);
  const auto loss = [&](const Tensor& changed) {
    return statistics_loss(image_statistics(changed, 4), kept).min().item<double>();
  };
  EXPECT_EQ(loss(images), 0.0);
  EXPECT_GT(loss(images + 0.5), 0.1);                                    // brightness
  EXPECT_GT(loss(images * 0.5), 1.0);                                    // contrast
  EXPECT_GT(loss(at::avg_pool2d(images, {3, 3}, {1, 1}, {1, 1})), 1.0);  // sharpness
  EXPECT_LT(loss(images.flip(3)), 1e-12);                                // not the place of things
}

TEST(ImageStatistics, MeanTheSameInEveryNormalisation) {
  const Tensor a = reference("statistics.images"), b = reference("statistics.kept");
  const Tensor loss = statistics_loss(image_statistics(a, 4), image_statistics(b, 4));
  const Tensor rescaled = statistics_loss(image_statistics(a * 0.45 + 0.1, 4), image_statistics(b * 0.45 + 0.1, 4));
  EXPECT_LT(largest_difference(loss, rescaled), 1e-3);
}

TEST(ImageStatistics, OfAnImageDoNotDependOnItsNeighbours) {
  const Tensor images = reference("statistics.images");
  const ImageStatistics kept = image_statistics(reference("statistics.kept"), 4);
  const ImageStatistics second{kept.spectrum.narrow(0, 1, 1), kept.mean.narrow(0, 1, 1), kept.contrast.narrow(0, 1, 1),
                               kept.patch_contrast.narrow(0, 1, 1)};
  EXPECT_LT(largest_difference(statistics_loss(image_statistics(images.narrow(0, 1, 1), 4), second)[0],
                               statistics_loss(image_statistics(images, 4), kept)[1]),
            1e-12);
}

TEST(ImageStatistics, OfAFlatImageHaveAFiniteGradient) {
  const ImageStatistics kept = image_statistics(at::zeros({1, 3, 16, 16}), 4);
  const auto loss = [&](const Tensor& x) { return statistics_loss(image_statistics(x, 4), kept).sum(); };
  EXPECT_TRUE(testing::gradient_of(loss, at::ones({1, 3, 16, 16})).isfinite().all().item<bool>());
}

}  // namespace
}  // namespace eidolon
