#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>
#include <utility>
#include <vector>

#include "procedural/canvas.h"
#include "procedural/colour.h"
#include "procedural/families.h"
#include "procedural/noise_field.h"
#include "procedural/surface.h"

namespace eidolon {
namespace {

constexpr int most_leaves = 3000;
constexpr int leaves_between_looks = 16;  ///< leaves between two measurements of the open share

/// An ellipse or a convex polygon anywhere in the picture.
struct Leaf {
  double x = 0, y = 0;          ///< centre, in pixels
  double radius = 0;            ///< of the circle around it, in pixels
  double cosine = 1, sine = 0;  ///< of the rotation angle
  double minor = 0;             ///< smaller semi-axis, for an ellipse
  struct Edge {
    double normal_x, normal_y, offset;
  };
  std::vector<Edge> edges;  ///< of a polygon; inside, normal * (dx, dy) < offset for all edges. Empty for an ellipse

  /// Signed distance in pixels from a point to the outline, negative inside; exact only near the outline. The point is
  /// relative to the centre.
  double distance(double dx, double dy) const;
};

/// Chords between corners at ascending angles on the circle around the leaf.
std::vector<Leaf::Edge> edges_between(const std::vector<double>& angles, double radius) {
  std::vector<Leaf::Edge> edges;
  for (size_t i = 0; i < angles.size(); ++i) {
    const double next = i + 1 < angles.size() ? angles[i + 1] : angles[0] + 2 * std::numbers::pi;
    const double middle = (angles[i] + next) / 2, half = (next - angles[i]) / 2;
    edges.push_back({std::cos(middle), std::sin(middle), radius * std::cos(half)});
  }
  return edges;
}

std::vector<double> corners_of_box(RandomStream& random) {
  const double turn = random.uniform(0, 2 * std::numbers::pi), half = std::atan(random.uniform(0.15, 1));
  std::vector<double> angles;
  for (const double corner : {-half, half, std::numbers::pi - half, std::numbers::pi + half}) angles.push_back(turn + corner);
  return angles;
}

std::vector<double> corners_of_polygon(RandomStream& random) {
  const int64_t corners = 3 + random.below(5);
  const double turn = random.uniform(0, 2 * std::numbers::pi), step = 2 * std::numbers::pi / static_cast<double>(corners);
  std::vector<double> angles;
  for (int64_t i = 0; i < corners; ++i) angles.push_back(turn + step * (static_cast<double>(i) + random.uniform(-0.35, 0.35)));
  return angles;
}

double Leaf::distance(double dx, double dy) const {
  if (edges.empty()) {
    // First order: (q - 1) q / |gradient|, q the distance in units of the semi-axes.
    const double u = (dx * cosine + dy * sine) / radius, v = (dy * cosine - dx * sine) / minor;
    const double q = std::sqrt(u * u + v * v), slope = std::sqrt(u * u / (radius * radius) + v * v / (minor * minor));
    return slope > 0 ? q * (q - 1) / slope : -minor;
  }
  double farthest = -std::numeric_limits<double>::infinity();
  for (const Edge& edge : edges) farthest = std::max(farthest, edge.normal_x * dx + edge.normal_y * dy - edge.offset);
  return farthest;
}

/// Half of the leaves are ellipses; the others are boxes, triangles and polygons of up to seven corners.
Leaf draw_leaf(RandomStream& random, double radius, int64_t side) {
  Leaf leaf;
  leaf.radius = radius;
  leaf.x = random.uniform(-0.2, 1.2) * static_cast<double>(side);
  leaf.y = random.uniform(-0.2, 1.2) * static_cast<double>(side);
  const double kind = random.uniform();
  if (kind < 0.5) {
    const double angle = random.uniform(0, std::numbers::pi);
    leaf.cosine = std::cos(angle);
    leaf.sine = std::sin(angle);
    leaf.minor = radius * random.uniform(0.2, 1);
  } else {
    leaf.edges = edges_between(kind < 0.75 ? corners_of_box(random) : corners_of_polygon(random), radius);
  }
  return leaf;
}

struct Radii {
  double smallest, largest;
};

Radii draw_radii(RandomStream& random, double side) {
  return {std::max(1.5, side * std::exp(random.uniform(std::log(0.018), std::log(0.07)))), side * random.uniform(0.25, 0.7)};
}

/// A radius of density r^-3 between the limits: 1 / r^2 is uniform.
double draw_radius(RandomStream& random, const Radii& radii) {
  return 1 / std::sqrt(random.uniform(1 / (radii.largest * radii.largest), 1 / (radii.smallest * radii.smallest)));
}

/// Light that changes linearly across a leaf. Half of the ellipses also darken towards the rim, as if they bulged.
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
  const double blur = static_cast<double>(size) / 40;  // a quarter of the leaves is out of focus
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
