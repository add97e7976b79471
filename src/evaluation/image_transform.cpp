#include "evaluation/image_transform.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace eidolon {
namespace {

struct Sides {
  int64_t height, width;
};

/// torchvision and transformers truncate the longer side: int(size * long / short), a floating-point quotient.
int64_t longer_side(int64_t size, int64_t longer, int64_t shorter) {
  return static_cast<int64_t>(static_cast<double>(size * longer) / static_cast<double>(shorter));
}

/// timm's ResizeKeepRatio rounds both, halves to the even number.
int64_t kept_ratio(int64_t side, int64_t longer, int64_t size) {
  const double ratio = static_cast<double>(longer) / static_cast<double>(size);
  return std::llrint(static_cast<double>(side) / ratio);
}

Sides resized_sides(int64_t height, int64_t width, int64_t size, const std::string& resize) {
  if (resize == "both sides") return {size, size};
  if (resize == "longer side") {
    const int64_t longer = std::max(height, width);
    return {kept_ratio(height, longer, size), kept_ratio(width, longer, size)};
  }
  if (resize != "shorter side") throw BadInput("resize '" + resize + "' is not one of shorter side, longer side, both sides");
  if (width <= height) return {longer_side(size, height, width), size};
  return {size, longer_side(size, width, height)};
}

/// How `wanted` pixels are cut from a side of `actual` pixels. Where the side is too short it is padded first, and the odd
/// pixel goes behind.
struct Cut {
  int64_t from, to, length;  // first pixel taken, where it lands, how many

  Cut(int64_t actual, int64_t wanted, const std::string& crop_offset)
      : from(0), to(wanted > actual ? (wanted - actual) / 2 : 0), length(std::min(actual, wanted)) {
    if (crop_offset != "to even" && crop_offset != "down") {
      throw BadInput("crop_offset '" + crop_offset + "' is not one of to even, down");
    }
    if (actual <= wanted) return;
    from = crop_offset == "down" ? (actual - wanted) / 2 : std::llrint(static_cast<double>(actual - wanted) / 2.0);
  }
};

/// What a crop larger than the picture is filled with: timm's border has the colour of the mean, the others are black.
Tensor background(const ImageTransform& transform, int64_t channels) {
  const Tensor square = at::zeros({channels, transform.size, transform.size}, at::kByte);
  if (transform.resize != "longer side") return square;
  if (static_cast<int64_t>(transform.border.size()) != channels) {
    throw BadInput("the border has " + std::to_string(transform.border.size()) + " values for " + std::to_string(channels) +
                   " channels");
  }
  for (int64_t channel = 0; channel < channels; ++channel) {
    square[channel].fill_(std::clamp<int64_t>(std::llrint(255 * transform.border[channel]), 0, 255));
  }
  return square;
}

}  // namespace

Tensor evaluation_crop(const Tensor& image, const ImageTransform& transform) {
  const int64_t wanted = transform.size;
  if (wanted < 1 || !(transform.crop_pct > 0.0)) {
    throw BadInput("the crop size and crop_pct of the model's preprocessing must be positive, not " + std::to_string(wanted) +
                   " and " + std::to_string(transform.crop_pct));
  }
  const auto size = static_cast<int64_t>(std::floor(static_cast<double>(wanted) / transform.crop_pct));
  const Sides sides = resized_sides(image.size(0), image.size(1), size, transform.resize);
  const Tensor resized = resize_like_pillow(image, sides.height, sides.width, interpolation_named(transform.interpolation));
  const Cut rows(sides.height, wanted, transform.crop_offset);
  const Cut columns(sides.width, wanted, transform.crop_offset);
  const Tensor kept = resized.narrow(0, rows.from, rows.length).narrow(1, columns.from, columns.length);
  Tensor crop = background(transform, image.size(2));
  crop.narrow(1, rows.to, rows.length).narrow(2, columns.to, columns.length).copy_(kept.permute({2, 0, 1}));
  return crop;
}

}  // namespace eidolon
