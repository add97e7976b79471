// Resize and centre crop to the model's input size, as timm and transformers do on PIL images.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "evaluation/pillow_resize.h"

namespace eidolon {

/// The fields are those of model/preprocessing.h, which says where each value comes from.
struct ImageTransform {
  int64_t size = 224;       ///< side of the crop
  double crop_pct = 0.875;  ///< the picture is resized to floor(size / crop_pct)
  std::string interpolation = "bicubic";
  std::string resize = "shorter side";  ///< which side is resized to it: shorter side | longer side | both sides
  std::string crop_offset = "to even";  ///< how an offset of half a pixel is rounded: to even | down
  std::vector<double> border{0, 0, 0};  ///< colour in [0, 1] of the padding, for "longer side"
};

/// uint8 H x W x C to uint8 C x size x size, contiguous. Resizes the picture and crops the central square. Where the
/// picture is smaller, it is padded (black, except for "longer side"). Bit-identical to the PIL transforms of
/// torchvision, timm and transformers. Throws BadInput for values that are unknown or not positive.
Tensor evaluation_crop(const Tensor& image, const ImageTransform& transform);

}  // namespace eidolon
