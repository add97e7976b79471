#include "procedural/pattern.h"

#include <algorithm>
#include <cmath>

namespace eidolon {
namespace {

/// A number in (0, 1) for each cell of the plane, by mixing its coordinates (a 32-bit finaliser of MurmurHash3).
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

}  // namespace

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

}  // namespace eidolon
