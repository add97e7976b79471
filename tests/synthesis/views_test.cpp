#include "synthesis/views.h"

#include <cmath>

#include "tests/device/test_device.h"
#include "tests/synthesis/small_teacher.h"

namespace eidolon {
namespace {

using testing::expect_gradient_matches_differences;
using testing::largest_difference;
using testing::small_pixels;
using testing::small_preprocessing;

SynthesisJob job_with(double smallest_side, double colour) {
  SynthesisJob job = testing::small_job("views");
  job.views = {.smallest_side = smallest_side, .colour = colour};
  return job;
}

/// On the device of the pixels.
Views drawn(const SynthesisJob& job, const Unit& unit, int64_t iteration) {
  return draw_views(job, small_preprocessing(), unit, iteration).to(test_device());
}

/// PyTorch's own sampler at the same windows.
Tensor sampled(const Views& views, const Tensor& pixels) {
  const auto size = static_cast<double>(pixels.size(3));
  const Tensor zoom = (views.side / size).to(at::kDouble), zero = at::zeros_like(zoom);
  const auto centre = [&](const Tensor& begin) { return ((2 * begin + views.side) / size - 1).to(at::kDouble); };
  const Tensor theta =
      at::stack({at::stack({zoom, zero, centre(views.left)}, 1), at::stack({zero, zoom, centre(views.top)}, 1)}, 1);
  const Tensor grid = at::affine_grid_generator(theta, pixels.sizes(), /*align_corners=*/false);
  return at::grid_sampler(pixels, grid, /*bilinear*/ 0, /*border*/ 1, /*align_corners=*/false) * views.gain + views.offset;
}

TEST(Views, AreWhatBilinearSamplingGives) {
  const Tensor pixels = small_pixels(16);
  const Views views = drawn(job_with(0.3, 0.4), {0, 16}, 3);
  EXPECT_LT(largest_difference(seen_through(views, pixels), sampled(views, pixels)), 1e-5);
}

// Pixels, weights and rows are rounded to 8 bits each; the teacher rounds what it is given to as many.
TEST(Views, InBf16AreTheSameUpToItsRounding) {
  const Tensor pixels = small_pixels(16);
  const Views views = drawn(job_with(0.3, 0.4), {0, 16}, 3);
  const Tensor expected = sampled(views, pixels);
  const double unit = expected.abs().max().item<double>() / 256;
  EXPECT_LT(largest_difference(seen_through(views, pixels, at::kBFloat16), expected), 3 * unit);
  EXPECT_GT(largest_difference(seen_through(views, pixels, at::kBFloat16), expected), unit / 10) << "it is of bf16";
}

TEST(Views, KeepWithinTheImageAndTheirBounds) {
  const Views views = draw_views(job_with(0.25, 0.3), small_preprocessing(), {0, 400}, 0);
  EXPECT_GE(views.side.min().item<double>(), 4.0);
  EXPECT_LT(views.side.min().item<double>(), 4.2);
  EXPECT_LE(views.side.max().item<double>(), 16.0);
  for (const Tensor& begin : {views.top, views.left}) {
    EXPECT_GE(begin.min().item<double>(), 0.0);
    EXPECT_LE((begin + views.side).max().item<double>(), 16.0 + 1e-5);
  }
  EXPECT_LE(views.gain.log().abs().max().item<double>(), 0.3 + 1e-6);
  EXPECT_GT(views.gain.log().abs().max().item<double>(), 0.29);
  const double imagenet_pixel = 0.226 / small_preprocessing().mean_std();
  EXPECT_LE(views.offset.abs().max().item<double>(), 0.3 * imagenet_pixel + 1e-6);
  EXPECT_GT(views.offset.abs().max().item<double>(), 0.29 * imagenet_pixel);
}

TEST(Views, AreTheWholeImageWhereNothingIsAskedFor) {
  const Tensor pixels = small_pixels(4);
  EXPECT_TRUE(seen_through(draw_views(job_with(1, 0), small_preprocessing(), {0, 4}, 0), pixels).is_same(pixels));
}

TEST(Views, AreOfTheMethodOfTheirNameAlone) {
  const Tensor pixels = small_pixels(4);
  EXPECT_TRUE(seen_through(draw_views(testing::small_job("sardfq"), small_preprocessing(), {0, 4}, 0), pixels).is_same(pixels));
}

TEST(Views, ChangeColoursAloneWhereTheWindowIsWhole) {
  const Tensor pixels = small_pixels(4);
  const Views views = drawn(job_with(1, 0.3), {0, 4}, 0);
  EXPECT_LT(largest_difference(seen_through(views, pixels), pixels * views.gain + views.offset), 1e-5);
}

TEST(Views, BelongToAnImageAndAnIteration) {
  const SynthesisJob job = job_with(0.4, 0.3);
  const Views all = draw_views(job, small_preprocessing(), {0, 8}, 5), part = draw_views(job, small_preprocessing(), {6, 2}, 5);
  EXPECT_EQ(largest_difference(all.side.narrow(0, 6, 2), part.side), 0);
  EXPECT_EQ(largest_difference(all.gain.narrow(0, 6, 2), part.gain), 0);
  EXPECT_GT(largest_difference(draw_views(job, small_preprocessing(), {6, 2}, 6).side, part.side), 0.01);
}

TEST(Views, PassGradientsToThePixels) {
  const Views views = drawn(job_with(0.4, 0.3), {0, 4}, 1);
  at::manual_seed(3);
  const Tensor weights = at::randn({4, 3, 16, 16}, at::kDouble).to(test_device());
  expect_gradient_matches_differences([&](const Tensor& x) { return (seen_through(views, x) * weights).sum(); },
                                      small_pixels(4));
}

}  // namespace
}  // namespace eidolon
