// From a picture to the model's square: resize and centre crop as timm and transformers do them on PIL images.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "evaluation/pillow_resize.h"

namespace eidolon {

/// The fields are those of model/preprocessing.h, which says where each value comes from.
struct ImageTransform {
  int64_t size = 224;       ///< of the square that is cut out
  double crop_pct = 0.875;  ///< a side of `size` is cut from one of floor(size / crop_pct)
  std::string interpolation = "bicubic";
  std::string resize = "shorter side";  ///< what becomes floor(size / crop_pct): shorter side | longer side | both sides
  std::string crop_offset = "to even";  ///< how half a pixel of the offset is rounded: to even | down
  std::vector<double> border{0, 0, 0};  ///< in [0, 1], of what is added where the picture is smaller; for "longer side"
};

/// uint8 H x W x C -> uint8 C x size x size, contiguous. The picture is resized, both sides or with its aspect kept, and a
/// square is cut from its centre; where it is smaller, a border goes around it (black, but for "longer side"). Equal to
/// torchvision's, timm's and transformers' PIL transforms to the bit. BadInput for values that are not known or not positive.
Tensor evaluation_crop(const Tensor& image, const ImageTransform& transform);

}  // namespace eidolon
