// Pillow's antialiased resize, to the bit.
#pragma once

#include <string>

#include "base/tensor.h"

namespace eidolon {

enum class Interpolation { nearest, box, bilinear, hamming, bicubic, lanczos };

/// "bicubic" and so on, the names that Pillow, torchvision and timm share; BadInput for another.
Interpolation interpolation_named(const std::string& name);

/// uint8 H x W x C to uint8 height x width x C, equal to Pillow's Image.resize to the bit (its ImagingResample: filter widened
/// by the reduction, weights in fixed point with 22 fractional bits, columns first, rounded and clipped to 8 bits between the
/// two passes; `nearest` takes the sample under each centre). Sizes must be positive.
Tensor resize_like_pillow(const Tensor& image, int64_t height, int64_t width, Interpolation interpolation);

}  // namespace eidolon
