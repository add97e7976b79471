// Resize and centre crop as timm's evaluation transform does them on PIL images.
#pragma once

#include "base/tensor.h"
#include "evaluation/pillow_resize.h"

namespace eidolon {

/// timm's evaluation of a uint8 H x W x C picture: shorter side to floor(crop_size / crop_pct) keeping the aspect, centre crop
/// crop_size x crop_size (zeros around it where the resized picture is smaller), with torchvision's rounding. Returns uint8
/// C x crop_size x crop_size, contiguous. BadInput for a size or fraction that is not positive.
Tensor evaluation_crop(const Tensor& image, int64_t crop_size, double crop_pct, Interpolation interpolation);

}  // namespace eidolon
