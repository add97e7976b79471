#include "procedural/dead_leaves.h"

#include <cmath>

#include "procedural/canvas.h"
#include "procedural/coloured_noise.h"
#include "procedural/exposure.h"
#include "procedural/leaf.h"
#include "procedural/surface.h"

namespace eidolon {
namespace {

constexpr int most_leaves = 3000;
constexpr int leaves_between_looks = 16;  ///< at how much is still open

struct Radii {
  double smallest, largest;
};

Radii draw_radii(RandomStream& random, double side) {
  return {std::max(1.5, side * std::exp(random.uniform(std::log(0.018), std::log(0.07)))), side * random.uniform(0.25, 0.7)};
}

/// Density r^-3 between the limits: 1 / r^2 is uniform.
double draw_radius(RandomStream& random, const Radii& radii) {
  return 1 / std::sqrt(random.uniform(1 / (radii.largest * radii.largest), 1 / (radii.smallest * radii.smallest)));
}

/// Light that grows or falls across a leaf, to `strength` above or below at its rim; rounded leaves also darken to one side of
/// their rim, as if they bulged.
struct Shading {
  double slope_x, slope_y, bulge;
};

Shading draw_shading(RandomStream& random, const Leaf& leaf) {
  const double angle = random.uniform(0, 2 * std::numbers::pi), strength = random.uniform(0, 0.5) / leaf.radius;
  const bool bulges = leaf.edges.empty() && random.uniform() < 0.5;
  return {strength * std::cos(angle), strength * std::sin(angle), bulges ? random.uniform(0.2, 0.7) : 0};
}

float light_at(const Shading& shading, const Leaf& leaf, double dx, double dy) {
  const double from_centre = (dx * dx + dy * dy) / (leaf.radius * leaf.radius);
  return static_cast<float>((1 + shading.slope_x * dx + shading.slope_y * dy) * (1 - shading.bulge * from_centre));
}

void lay_leaf(RandomStream& random, Canvas& canvas, const Radii& radii, const Palette& palette, const NoiseField& mottle) {
  const int64_t size = canvas.picture.size;
  const Leaf leaf = draw_leaf(random, draw_radius(random, radii), size);
  const Surface surface(random, palette, mottle, size);
  const Shading shading = draw_shading(random, leaf);
  const double blur = static_cast<double>(size) / 40;  // out of focus, one in four
  const double softness = random.uniform() < 0.25 ? 1 + random.uniform(0, blur) : 1.3;
  const double reach = leaf.radius + softness;
  lay_under(
      canvas, canvas.around(leaf.x, leaf.y, reach, reach),
      [&](double x, double y) { return coverage(leaf.distance(x - leaf.x, y - leaf.y), softness); },
      [&](double x, double y, float weight, float* out, int64_t stride) {
        const double dx = x - leaf.x, dy = y - leaf.y;
        surface.add(dx, dy, weight, light_at(shading, leaf, dx, dy), out, stride);
      });
}

}  // namespace

Picture dead_leaves(RandomStream& random, int64_t channels, int64_t size) {
  Picture background = coloured_noise(random, channels, size);
  expose(random, background);
  const NoiseField mottle = draw_noise_field(random, size, random.uniform(0.6, 1.1));
  const Palette palette = draw_palette(random, channels);
  const Radii radii = draw_radii(random, static_cast<double>(size));
  const double enough = random.uniform(0.005, 0.12);

  Canvas canvas(channels, size);
  for (int leaf = 0; leaf < most_leaves; ++leaf) {
    if (leaf % leaves_between_looks == 0 && canvas.open_share() < enough) break;
    lay_leaf(random, canvas, radii, palette, mottle);
  }
  for (int64_t c = 0; c < channels; ++c) {
    float *out = canvas.picture.channel(c), *behind = background.channel(c);
    for (size_t i = 0; i < canvas.open.size(); ++i) out[i] += canvas.open[i] * behind[i];
  }
  return std::move(canvas.picture);
}

}  // namespace eidolon
