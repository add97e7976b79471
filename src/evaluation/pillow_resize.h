// A bit-identical reimplementation of Pillow's antialiased resize.
#pragma once

#include <string>

#include "base/tensor.h"

namespace eidolon {

enum class Interpolation { nearest, box, bilinear, hamming, bicubic, lanczos };

/// The filter of a name such as "bicubic", as in Pillow, torchvision and timm. Throws BadInput for an unknown name.
Interpolation interpolation_named(const std::string& name);

/// uint8 H x W x C to uint8 height x width x C, bit-identical to Pillow's Image.resize (ImagingResample). The filter is
/// widened by the reduction factor, and weights are fixed-point with 22 fractional bits. The horizontal pass comes
/// first; both passes round and clip to 8 bits. `nearest` takes the sample under each pixel centre. Sizes must be
/// positive.
Tensor resize_like_pillow(const Tensor& image, int64_t height, int64_t width, Interpolation interpolation);

}  // namespace eidolon
