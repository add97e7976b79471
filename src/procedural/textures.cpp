#include "procedural/textures.h"

#include <algorithm>

#include "procedural/pattern.h"

namespace eidolon {
namespace {

/// Along the palette by height, times the light.
void paint(const Pattern& p, float height, float light, float* out, int64_t stride) {
  const float place = 2 * std::clamp(0.5F + 0.5F * p.sharpness * height, 0.0F, 0.9999F);
  const auto lower = static_cast<size_t>(place);
  const float share = place - static_cast<float>(lower);
  const Colour &from = p.colours[lower], &to = p.colours[lower + 1];
  for (size_t c = 0; c < from.size(); ++c, out += stride) *out = (from[c] + share * (to[c] - from[c])) * light;
}

/// Which region a value of smooth noise belongs to.
size_t region_of(float value, const std::vector<float>& levels) {
  return static_cast<size_t>(std::ranges::upper_bound(levels, value) - levels.begin());
}

std::vector<float> draw_levels(RandomStream& random) {
  std::vector<float> levels(static_cast<size_t>(1 + random.below(3)));
  for (float& level : levels) level = static_cast<float>(random.normal());
  std::ranges::sort(levels);
  return levels;
}

}  // namespace

Picture warped_texture(RandomStream& random, int64_t channels, int64_t size) {
  const auto field = [&](double exponent) { return draw_noise_field(random, size, exponent); };
  const PatternFields fields{field(2.2), field(2.2), field(1.0), field(1.5)};
  const NoiseField ground = field(2.5);
  const std::vector<float> levels = draw_levels(random);
  const Palette palette = draw_palette(random, channels);
  std::vector<Pattern> patterns;
  for (size_t i = 0; i <= levels.size(); ++i) patterns.push_back(draw_pattern(random, palette, static_cast<double>(size)));
  const auto mottle = static_cast<float>(random.uniform(0.02, 0.15));

  Picture picture(channels, size);
  const int64_t stride = size * size;
  std::vector<float> left(patterns.size());
  for (int64_t i = 0; i < stride; ++i) {
    const double x = static_cast<double>(i % size) + 0.5, y = static_cast<double>(i / size) + 0.5;
    const size_t region = region_of(ground.values[static_cast<size_t>(i)], levels);
    const Pattern& p = patterns[region];
    const float height = height_at(p, fields, x, y);
    const float slope = i % size == 0 ? 0 : std::clamp(height - left[region], -1.0F, 1.0F);
    left[region] = height;
    const float light = 1 + 3 * p.relief * slope + mottle * fields.rough.values[static_cast<size_t>(i)];
    paint(p, height, light, picture.values.data() + i, stride);
  }
  return picture;
}

}  // namespace eidolon
