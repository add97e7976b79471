// A picture painted front to back: each layer goes under those before it, and painting may end when nothing shows through.
#pragma once

#include <algorithm>
#include <cmath>

#include "procedural/picture.h"

namespace eidolon {

/// Pixels [left, right) x [top, bottom).
struct Box {
  int64_t left, top, right, bottom;
};

struct Canvas {
  Picture picture;
  std::vector<float> open;  ///< S x S, the share of each pixel that still shows what lies behind; 1 at first

  Canvas(int64_t channels, int64_t size) : picture(channels, size), open(static_cast<size_t>(size * size), 1.0F) {}

  double open_share() const;  ///< mean of `open`

  /// The pixels within `reach` of a point, as far as they are on the canvas.
  Box around(double x, double y, double reach_x, double reach_y) const;
  Box all() const { return {0, 0, picture.size, picture.size}; }
};

/// The share of a pixel that lies inside an edge `distance` pixels away (negative inside), blurred over `softness` pixels.
inline float coverage(double distance, double softness) {
  return static_cast<float>(std::clamp(0.5 - distance / softness, 0.0, 1.0));
}

/// covers(x, y) -> share of the pixel with centre (x, y), paint(x, y, weight, out, stride) adds weight * colour to
/// out[c * stride].
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
