// Resize and centre crop as timm's evaluation transform does them on PIL images.
#pragma once

#include "base/tensor.h"

namespace eidolon {

enum class Interpolation { bilinear, bicubic };

/// PIL's antialiased resize of a uint8 H x W x C image (Pillow's ImagingResample: support scaled by the ratio, 8-bit
/// fixed-point coefficients with 22 precision bits, horizontal pass first, rounding and clipping between the passes). Equal to
/// Pillow to the bit.
Tensor resize_like_pillow(const Tensor& image, int64_t height, int64_t width, Interpolation interpolation);

/// timm's evaluation: shorter side to floor(crop_size / crop_pct) keeping the aspect (torchvision's rounding), centre crop
/// crop_size x crop_size (padding by zeros if smaller). Returns uint8 C x S x S.
Tensor evaluation_crop(const Tensor& image, int64_t crop_size, double crop_pct, Interpolation interpolation);

}  // namespace eidolon
