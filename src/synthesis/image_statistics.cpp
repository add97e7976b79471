#include "synthesis/image_statistics.h"

#include <cmath>

#include "synthesis/cosine_transform.h"

namespace eidolon {
namespace {

// Below the power that rounding to bytes adds (2.5e-5 in ImageNet's normalisation), so it matters to flat images alone.
constexpr double least_power = 1e-6;

/// Averages over half octaves of the radius r >= 1: S^2 x R, each column summing to 1.
Tensor ring_averages(int64_t size, at::TensorOptions options) {
  const Tensor radius = cosine_radius(size, options.dtype(at::kDouble)).flatten();
  const auto half_octaves = [](auto log2_radius) { return 2 * log2_radius + 1e-9; };
  const Tensor half_octave = half_octaves(radius.clamp_min(1).log2()).floor();
  const auto rings = static_cast<int64_t>(half_octaves(0.5 + std::log2(static_cast<double>(size - 1)))) + 1;
  const Tensor ring = at::arange(rings, half_octave.options());
  const Tensor member = (half_octave.unsqueeze(1) == ring).logical_and((radius > 0).unsqueeze(1)).to(at::kDouble);
  return (member / member.sum(0)).to(options.dtype().toScalarType());
}

Tensor log_variance(const Tensor& images) {
  return (at::var(images, at::IntArrayRef{2, 3}, false) + least_power).log();
}

}  // namespace

ImageStatistics image_statistics(const Tensor& images, int64_t patch_size) {
  const Tensor power = cosine_transform(images).square().mean(1).flatten(1);
  return {(at::mm(power, ring_averages(images.size(-1), images.options())) + least_power).log(), images.mean({2, 3}),
          log_variance(images), log_variance(at::avg_pool2d(images, {patch_size, patch_size}))};
}

Tensor statistics_loss(const ImageStatistics& current, const ImageStatistics& kept) {
  const Tensor colour = (current.mean - kept.mean).square() * (-kept.contrast).exp();
  const auto distance = [](const Tensor& a, const Tensor& b) { return (a - b).square().mean(-1); };
  return distance(current.spectrum, kept.spectrum) + colour.mean(-1) + distance(current.contrast, kept.contrast) +
         distance(current.patch_contrast, kept.patch_contrast);
}

}  // namespace eidolon
