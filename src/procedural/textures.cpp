#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <vector>

#include "procedural/canvas.h"
#include "procedural/colour.h"
#include "procedural/families.h"
#include "procedural/noise_field.h"

namespace eidolon {
namespace {

/// Noise fields shared by the patterns of a picture: two that displace coordinates, one rough and one smooth.
struct PatternFields {
  NoiseField displace_x, displace_y, rough, smooth;
};

/// A height at every point of the plane, and the colours that it selects.
struct Pattern {
  enum class Kind { waves, rings, cells, noise };

  Kind kind;
  double rate_x, rate_y;      ///< cycles per pixel, along and across the direction
  double cosine, sine;        ///< of the angle of the direction
  double warp;                ///< displacement of the coordinates in pixels
  double centre_x, centre_y;  ///< of rings, in pixels
  float sharpness;
  std::array<Colour, 3> colours;
  float relief;  ///< strength of the shading by the slope
};

/// A pseudo-random number in (0, 1) for each cell of the plane, by hashing its coordinates (the finaliser of
/// MurmurHash3).
double cell_number(int column, int row, uint32_t salt) {
  uint32_t h = static_cast<uint32_t>(column) * 0x9E3779B1U ^ static_cast<uint32_t>(row) * 0x85EBCA77U ^ salt;
  h = (h ^ h >> 16) * 0x85EBCA6BU;
  h = (h ^ h >> 13) * 0xC2B2AE35U;
  return ((h ^ h >> 16) + 0.5) * 0x1p-32;
}

/// Distance to the nearest of one scattered point per unit cell (Worley 1996), 0 to about 1.
double cell_distance(double u, double v) {
  const int column = static_cast<int>(std::floor(u)), row = static_cast<int>(std::floor(v));
  double nearest = 4;
  for (int j = row - 1; j <= row + 1; ++j) {
    for (int i = column - 1; i <= column + 1; ++i) {
      const double dx = i + cell_number(i, j, 1) - u, dy = j + cell_number(i, j, 2) - v;
      nearest = std::min(nearest, dx * dx + dy * dy);
    }
  }
  return std::sqrt(nearest);
}

Pattern draw_pattern(RandomStream& random, const Palette& palette, double side) {
  Pattern p;
  p.kind = static_cast<Pattern::Kind>(random.below(4));
  const double cycles = std::exp(random.uniform(std::log(1.5), std::log(25))) / side, stretch = random.uniform(-1.5, 1.5);
  p.rate_x = std::min(cycles, 0.25);
  p.rate_y = std::min(cycles * std::exp(stretch), 0.25);
  const double angle = random.uniform(0, 2 * std::numbers::pi);
  p.cosine = std::cos(angle);
  p.sine = std::sin(angle);
  const double much = random.uniform();
  p.warp = side * 0.1 * much * random.uniform();
  p.centre_x = random.uniform(-0.3, 1.3) * side;
  p.centre_y = random.uniform(-0.3, 1.3) * side;
  p.sharpness = static_cast<float>(random.uniform(0.6, 2.5));
  for (Colour& colour : p.colours) colour = palette.pick(random);
  p.relief = static_cast<float>(random.uniform(0, 0.25));
  return p;
}

/// The height at a pixel, about -1 to 1.
float height_at(const Pattern& p, const PatternFields& fields, double x, double y) {
  const double px = x + p.warp * fields.displace_x.at(x, y), py = y + p.warp * fields.displace_y.at(x, y);
  const double u = (px * p.cosine + py * p.sine) * p.rate_x, v = (py * p.cosine - px * p.sine) * p.rate_y;
  const double radius = std::hypot(px - p.centre_x, py - p.centre_y) * p.rate_x;
  const auto wave = [](double t) { return static_cast<float>(std::sin(2 * std::numbers::pi * t)); };
  switch (p.kind) {
    case Pattern::Kind::waves:
      return wave(u);
    case Pattern::Kind::rings:
      return wave(radius);
    case Pattern::Kind::cells:
      return static_cast<float>(1.6 * cell_distance(u, v) - 1);
    case Pattern::Kind::noise:
      break;
  }
  const double zoom = static_cast<double>(fields.smooth.size) / 10;
  return 0.6F * fields.smooth.at(u * zoom, v * zoom);
}

/// Writes the colour of a height, times the light.
void paint(const Pattern& p, float height, float light, float* out, int64_t stride) {
  const float place = 2 * std::clamp(0.5F + 0.5F * p.sharpness * height, 0.0F, 0.9999F);
  const auto lower = static_cast<size_t>(place);
  const float share = place - static_cast<float>(lower);
  const Colour &from = p.colours[lower], &to = p.colours[lower + 1];
  for (size_t c = 0; c < from.size(); ++c, out += stride) *out = (from[c] + share * (to[c] - from[c])) * light;
}

/// The index of the region to which a value of smooth noise belongs.
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
