#include "evaluation/image_transform.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace eidolon {
namespace {

/// torchvision truncates the longer side: int(size * long / short), a floating-point quotient.
int64_t longer_side(int64_t size, int64_t longer, int64_t shorter) {
  return static_cast<int64_t>(static_cast<double>(size * longer) / static_cast<double>(shorter));
}

Tensor resize_shorter_side(const Tensor& image, int64_t size, Interpolation interpolation) {
  const int64_t height = image.size(0);
  const int64_t width = image.size(1);
  if (width <= height) {
    return resize_like_pillow(image, longer_side(size, height, width), size, interpolation);
  }
  return resize_like_pillow(image, size, longer_side(size, width, height), interpolation);
}

/// How `wanted` pixels are cut from a side of `actual` pixels. torchvision pads first where the side is too short (the odd
/// pixel goes behind) and rounds the offset of the crop as Python does, halves to the even number.
struct Cut {
  int64_t from, to, length;  // first pixel taken, where it lands, how many

  Cut(int64_t actual, int64_t wanted)
      : from(actual > wanted ? static_cast<int64_t>(std::nearbyint(static_cast<double>(actual - wanted) / 2.0)) : 0),
        to(wanted > actual ? (wanted - actual) / 2 : 0),
        length(std::min(actual, wanted)) {}
};

}  // namespace

Tensor evaluation_crop(const Tensor& image, int64_t crop_size, double crop_pct, Interpolation interpolation) {
  if (crop_size < 1 || !(crop_pct > 0.0)) {
    throw BadInput("the crop size and crop_pct of the model's preprocessing must be positive, not " +
                   std::to_string(crop_size) + " and " + std::to_string(crop_pct));
  }
  const auto size = static_cast<int64_t>(std::floor(static_cast<double>(crop_size) / crop_pct));
  const Tensor resized = resize_shorter_side(image, size, interpolation);
  const Cut rows(resized.size(0), crop_size);
  const Cut columns(resized.size(1), crop_size);
  const Tensor kept = resized.narrow(0, rows.from, rows.length).narrow(1, columns.from, columns.length);
  Tensor crop = at::zeros({image.size(2), crop_size, crop_size}, at::kByte);
  crop.narrow(1, rows.to, rows.length).narrow(2, columns.to, columns.length).copy_(kept.permute({2, 0, 1}));
  return crop;
}

}  // namespace eidolon
