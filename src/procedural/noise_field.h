// Gaussian noise with a power-law spectrum.
#pragma once

#include <cstdint>
#include <vector>

#include "numerics/random.h"

namespace eidolon {

/// S x S values of mean 0 and variance 1, periodic in both directions.
struct NoiseField {
  int64_t size = 0;
  std::vector<float> values;

  /// Bilinear interpolation at any point, in pixels; x to the right, y downwards.
  float at(double x, double y) const;
};

/// White noise with its amplitudes multiplied by f^-exponent. Natural images have exponents near 1 (Field 1987).
NoiseField draw_noise_field(RandomStream& random, int64_t size, double exponent);

}  // namespace eidolon
