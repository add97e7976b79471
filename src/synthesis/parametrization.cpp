#include "synthesis/parametrization.h"

#include <cmath>

#include "synthesis/cosine_transform.h"
#include "synthesis/crops.h"

namespace eidolon {
namespace {

/// 1 / max(radius, 2), S x S, of mean square 1: radius 2 is one cycle per image, below which images do not get stronger.
Tensor inverse_frequency(int64_t size, at::TensorOptions options) {
  const Tensor scale = cosine_radius(size, options).clamp_min(2).reciprocal();
  return scale / scale.square().mean().sqrt();
}

/// Sides of the pyramid's levels, finest first: halved while even, down to about eight pixels.
std::vector<int64_t> level_sides(int64_t size) {
  std::vector<int64_t> sides{size};
  while (sides.back() % 2 == 0 && sides.back() >= 16) sides.push_back(sides.back() / 2);
  return sides;
}

Tensor enlarged(const Tensor& images) {
  const Tensor matrix = bilinear_matrix(2 * images.size(-1), images.size(-1), images.options());
  return at::matmul(at::matmul(matrix, images), matrix.t());
}

/// Coefficients are the levels times sqrt(number of levels): a unit step in all of them, with random signs, is then at most
/// one in the pixels.
double level_scale(size_t levels) {
  return std::sqrt(static_cast<double>(levels));
}

Tensor encode_pyramid(const Tensor& pixels) {
  const std::vector<int64_t> sides = level_sides(pixels.size(-1));
  std::vector<Tensor> levels;
  Tensor image = pixels;
  for (size_t level = 0; level + 1 < sides.size(); ++level) {
    const Tensor smaller = at::avg_pool2d(image, {2, 2});
    levels.push_back((image - enlarged(smaller)).flatten(1));
    image = smaller;
  }
  levels.push_back(image.flatten(1));
  return at::cat(levels, 1) * level_scale(sides.size());
}

Tensor decode_pyramid(const Tensor& parameters, int64_t channels, int64_t size) {
  const std::vector<int64_t> sides = level_sides(size);
  int64_t end = parameters.size(1);
  Tensor image;
  for (size_t level = sides.size(); level-- > 0;) {
    const int64_t side = sides[level], values = channels * side * side;
    end -= values;
    const Tensor detail = parameters.narrow(1, end, values).reshape({-1, channels, side, side});
    image = image.defined() ? enlarged(image) + detail : detail;
  }
  return image / level_scale(sides.size());
}

}  // namespace

Tensor encode_pixels(const SynthesisJob& job, const Tensor& pixels) {
  if (job.parametrization == "fourier") {
    return cosine_transform(pixels) / inverse_frequency(pixels.size(-1), pixels.options());
  }
  return job.parametrization == "pyramid" ? encode_pyramid(pixels) : pixels;
}

Tensor decode_pixels(const SynthesisJob& job, const Preprocessing& preprocessing, const Tensor& parameters) {
  if (job.parametrization == "fourier") {
    return inverse_cosine_transform(parameters * inverse_frequency(parameters.size(-1), parameters.options()));
  }
  if (job.parametrization == "pyramid") {
    return decode_pyramid(parameters, preprocessing.channels(), preprocessing.image_size);
  }
  return parameters;
}

void clamp_to_valid(const SynthesisJob& job, const Preprocessing& preprocessing, const PixelRange& valid, Tensor& parameters) {
  const at::NoGradGuard no_gradients;
  if (job.parametrization == "pixels") {
    parameters.clamp_(valid.lowest, valid.highest);
    return;
  }
  const Tensor pixels = decode_pixels(job, preprocessing, parameters), clamped = pixels.clamp(valid.lowest, valid.highest);
  if (job.parametrization == "fourier") {
    parameters = encode_pixels(job, clamped);
  } else {
    const Tensor change = (clamped - pixels).flatten(1) * level_scale(level_sides(preprocessing.image_size).size());
    parameters.narrow(1, 0, change.size(1)).add_(change);
  }
}

}  // namespace eidolon
