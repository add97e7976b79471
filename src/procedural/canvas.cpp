#include "procedural/canvas.h"

#include <algorithm>
#include <cmath>

namespace eidolon {

void expose(RandomStream& random, Picture& picture) {
  const double mean = std::clamp(0.47 + 0.1 * random.normal(), 0.2, 0.8), deviation = random.uniform(0.16, 0.28);
  double sum = 0, squares = 0;
  for (const float value : picture.values) {
    sum += value;
    squares += static_cast<double>(value) * value;
  }
  const double count = static_cast<double>(picture.values.size()), centre = sum / count;
  const double spread = std::sqrt(std::max(squares / count - centre * centre, 1e-12));
  const auto gain = static_cast<float>(deviation / spread), offset = static_cast<float>(mean - centre * deviation / spread);
  for (float& value : picture.values) value = std::clamp(value * gain + offset, 0.0F, 1.0F);
}

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
