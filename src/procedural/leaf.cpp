#include "procedural/leaf.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace eidolon {
namespace {

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

}  // namespace

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

}  // namespace eidolon
