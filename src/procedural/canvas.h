// The picture under construction, painted front to back, and its final exposure.
//
// Pixels are plain floats: a LibTorch call per pixel would cost more than the image.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/tensor.h"
#include "numerics/random.h"

namespace eidolon {

/// A square picture of C x S x S values.
struct Picture {
  int64_t channels = 0, size = 0;
  std::vector<float> values;  ///< C x S x S, of any range before expose()

  Picture(int64_t channel_count, int64_t side)
      : channels(channel_count), size(side), values(static_cast<size_t>(channel_count * side * side)) {}

  float* channel(int64_t c) { return values.data() + c * size * size; }

  Tensor tensor() const { return at::from_blob(const_cast<float*>(values.data()), {channels, size, size}, at::kFloat).clone(); }
};

/// Simulates the exposure of a camera: scales the picture to a drawn mean (0.47 +- 0.1) and standard deviation (0.16 to
/// 0.28) over all values, and clips it to [0, 1]. Over many pictures the deviation is near 0.226, that of ImageNet,
/// which is 1 in normalised pixels.
void expose(RandomStream& random, Picture& picture);

/// Pixels [left, right) x [top, bottom).
struct Box {
  int64_t left, top, right, bottom;
};

/// A picture painted front to back: each layer is laid under the layers before it. Painting may end once they cover
/// enough.
struct Canvas {
  Picture picture;
  std::vector<float> open;  ///< S x S, the fraction of each pixel that is not covered yet; 1 at first

  Canvas(int64_t channels, int64_t size) : picture(channels, size), open(static_cast<size_t>(size * size), 1.0F) {}

  double open_share() const;  ///< mean of `open`

  /// The pixels within `reach_x` and `reach_y` of a point, clipped to the canvas.
  Box around(double x, double y, double reach_x, double reach_y) const;
  Box all() const { return {0, 0, picture.size, picture.size}; }
};

/// The fraction of a pixel that lies inside an edge. `distance` is the signed distance to the edge in pixels, negative
/// inside; the edge is blurred over `softness` pixels.
inline float coverage(double distance, double softness) {
  return static_cast<float>(std::clamp(0.5 - distance / softness, 0.0, 1.0));
}

/// Lays a layer under the canvas, within `box`. covers(x, y) returns the fraction of the pixel with centre (x, y) that
/// the layer covers. paint(x, y, weight, out, stride) adds weight * colour, for channel c to out[c * stride].
template <class Covers, class Paint>
void lay_under(Canvas& canvas, const Box& box, Covers&& covers, Paint&& paint) {
  constexpr float unseen = 1.0F / 512;
  const int64_t size = canvas.picture.size, stride = size * size;
  for (int64_t row = box.top; row < box.bottom; ++row) {
    for (int64_t column = box.left; column < box.right; ++column) {
      float& open = canvas.open[static_cast<size_t>(row * size + column)];
      if (open < unseen) continue;
      const double x = static_cast<double>(column) + 0.5, y = static_cast<double>(row) + 0.5;
      const float share = covers(x, y);
      if (share <= 0) continue;
      paint(x, y, share * open, canvas.picture.values.data() + row * size + column, stride);
      open *= 1 - share;
    }
  }
}

}  // namespace eidolon
