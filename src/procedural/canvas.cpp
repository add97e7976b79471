#include "procedural/canvas.h"

namespace eidolon {

double Canvas::open_share() const {
  double sum = 0;
  for (const float share : open) sum += share;
  return sum / static_cast<double>(open.size());
}

Box Canvas::around(double x, double y, double reach_x, double reach_y) const {
  const auto pixel = [&](double place) {
    return static_cast<int64_t>(std::clamp(place, 0.0, static_cast<double>(picture.size)));
  };
  return {pixel(x - reach_x), pixel(y - reach_y), pixel(std::ceil(x + reach_x)), pixel(std::ceil(y + reach_y))};
}

}  // namespace eidolon
