// One leaf of the dead-leaves model: an ellipse or a convex polygon somewhere in the picture.
#pragma once

#include <vector>

#include "numerics/random.h"

namespace eidolon {

struct Leaf {
  double x = 0, y = 0;          ///< centre
  double radius = 0;            ///< nothing of the leaf is farther from its centre
  double cosine = 1, sine = 0;  ///< of its rotation
  double minor = 0;             ///< of an ellipse: the smaller semi-axis
  struct Edge {
    double normal_x, normal_y, offset;
  };
  std::vector<Edge> edges;  ///< of a polygon: inside is where normal * place < offset for all; an ellipse has none

  /// Pixels to the outline from a place relative to the centre, negative inside; near the outline only.
  double distance(double dx, double dy) const;
};

/// Half of them ellipses, else boxes, triangles and polygons of up to seven corners.
Leaf draw_leaf(RandomStream& random, double radius, int64_t side);

}  // namespace eidolon
