// Pillow's antialiased resize, to the bit.
#pragma once

#include "base/tensor.h"

namespace eidolon {

enum class Interpolation { bilinear, bicubic };

/// uint8 H x W x C to uint8 height x width x C, equal to Pillow's Image.resize to the bit (its ImagingResample: filter widened
/// by the reduction, weights in fixed point with 22 fractional bits, columns first, rounded and clipped to 8 bits between the
/// two passes). Sizes must be positive.
Tensor resize_like_pillow(const Tensor& image, int64_t height, int64_t width, Interpolation interpolation);

}  // namespace eidolon
