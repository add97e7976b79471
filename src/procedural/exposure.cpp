#include "procedural/exposure.h"

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

}  // namespace eidolon
