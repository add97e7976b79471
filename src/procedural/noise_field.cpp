#include "procedural/noise_field.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/tensor.h"

namespace eidolon {
namespace {

/// Scales the half-plane spectrum S x (S / 2 + 1) by f^-exponent, and sets the mean to zero.
void colour_spectrum(Tensor& spectrum, int64_t size, double exponent) {
  auto* bins = spectrum.mutable_data_ptr<c10::complex<float>>();
  for (int64_t row = 0; row < size; ++row) {
    const int64_t fy = std::min(row, size - row);
    for (int64_t fx = 0; fx <= size / 2; ++fx, ++bins) {
      const auto squared = static_cast<double>(fy * fy + fx * fx);
      *bins *= squared > 0 ? static_cast<float>(std::pow(squared, -0.5 * exponent)) : 0.0F;
    }
  }
}

void standardise(std::vector<float>& values) {
  double sum = 0, squares = 0;
  for (const float value : values) {
    sum += value;
    squares += static_cast<double>(value) * value;
  }
  const double count = static_cast<double>(values.size()), mean = sum / count;
  const double scale = 1 / std::sqrt(std::max(squares / count - mean * mean, 1e-30));
  for (float& value : values) value = static_cast<float>((value - mean) * scale);
}

int wrapped(int index, int size) {
  const int rest = index % size;
  return rest < 0 ? rest + size : rest;
}

}  // namespace

float NoiseField::at(double x, double y) const {
  const double floor_x = std::floor(x), floor_y = std::floor(y);
  const auto right = static_cast<float>(x - floor_x), below = static_cast<float>(y - floor_y);
  const int side = static_cast<int>(size);
  const int x0 = wrapped(static_cast<int>(floor_x), side), x1 = x0 + 1 == side ? 0 : x0 + 1;
  const int y0 = wrapped(static_cast<int>(floor_y), side), y1 = y0 + 1 == side ? 0 : y0 + 1;
  const float *upper = values.data() + static_cast<size_t>(y0) * side, *lower = values.data() + static_cast<size_t>(y1) * side;
  const float top = upper[x0] + right * (upper[x1] - upper[x0]), bottom = lower[x0] + right * (lower[x1] - lower[x0]);
  return top + below * (bottom - top);
}

NoiseField draw_noise_field(RandomStream& random, int64_t size, double exponent) {
  // The spectrum is that of real noise, so it is Hermitian in the columns that a half-plane stores twice.
  Tensor spectrum = at::fft_rfft2(random.normals({size, size})).contiguous();
  colour_spectrum(spectrum, size, exponent);
  const Tensor real = at::fft_irfft2(spectrum, at::IntArrayRef{size, size}).contiguous();
  const float* begin = real.const_data_ptr<float>();
  NoiseField field{size, std::vector<float>(begin, begin + size * size)};
  standardise(field.values);
  return field;
}

}  // namespace eidolon
