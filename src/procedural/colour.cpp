#include "procedural/colour.h"

#include <algorithm>

namespace eidolon {

Colour draw_colour(RandomStream& random, int64_t channels) {
  const double luminance = random.uniform(0.03, 0.97), u = random.uniform(), chroma = 0.02 + 0.2 * u * u;
  Colour colour(static_cast<size_t>(channels));
  for (float& value : colour) value = static_cast<float>(std::clamp(luminance + chroma * random.normal(), 0.0, 1.0));
  return colour;
}

Colour Palette::pick(RandomStream& random) const {
  Colour colour = colours[static_cast<size_t>(random.below(static_cast<int64_t>(colours.size())))];
  const double lighter = 0.12 * random.normal();
  for (float& value : colour) value = static_cast<float>(std::clamp(value + lighter + 0.03 * random.normal(), 0.0, 1.0));
  return colour;
}

Palette draw_palette(RandomStream& random, int64_t channels) {
  Palette palette;
  for (int64_t left = 3 + random.below(6); left > 0; --left) palette.colours.push_back(draw_colour(random, channels));
  return palette;
}

Colour mixed(const Colour& from, const Colour& to, float share) {
  Colour result = from;
  for (size_t c = 0; c < result.size(); ++c) result[c] += share * (to[c] - from[c]);
  return result;
}

}  // namespace eidolon
