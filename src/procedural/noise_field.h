// Gaussian noise whose amplitude falls as a power of the frequency.
#pragma once

#include <vector>

#include "numerics/random.h"

namespace eidolon {

/// S x S values of mean 0 and variance 1 that wrap around at the borders.
struct NoiseField {
  int64_t size = 0;
  std::vector<float> values;

  /// Bilinear, at any place: x to the right, y downwards, in pixels.
  float at(double x, double y) const;
};

/// White noise times f^-exponent in the Fourier domain. Natural images have exponents near 1 (Field 1987).
NoiseField draw_noise_field(RandomStream& random, int64_t size, double exponent);

}  // namespace eidolon
