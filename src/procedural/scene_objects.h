// What stands about in a scene: ellipsoids, cylinders, cones and blocks, lit from one side.
#pragma once

#include "procedural/canvas.h"
#include "procedural/surface.h"

namespace eidolon {

/// A pinhole camera one unit above a flat ground: the ground at depth z is seen at row horizon + focal / z.
struct Camera {
  double horizon = 0;  ///< row
  double focal = 0;    ///< pixels
};

/// Unit vector towards the light: x to the right, y downwards, z towards the camera.
struct Light {
  double x, y, z;
  double ambient;  ///< of what faces away from it

  /// Of a surface with that unit normal, about 0.3 to 1.3.
  float on(double normal_x, double normal_y, double normal_z) const {
    return static_cast<float>(ambient + (1.3 - ambient) * std::max(normal_x * x + normal_y * y + normal_z * z, 0.0));
  }
};
Light draw_light(RandomStream& random);

struct SceneObject {
  enum class Kind { ellipsoid, cylinder, cone, block };

  Kind kind = Kind::ellipsoid;
  double x = 0, base = 0;             ///< where it stands, in pixels: column of its middle, row of its foot
  double half_width = 0, height = 0;  ///< pixels
  double corner = 0;                  ///< of a block: column of the edge that points to the camera, relative to x
};

/// One that stands on the ground at the row `base`; sizes grow with nearness.
SceneObject draw_object(RandomStream& random, const Camera& camera, double base, int64_t side);

/// Lays the object and its shadow on the ground under what is already on the canvas.
void lay_object(Canvas& canvas, const SceneObject& object, const Surface& surface, const Camera& camera, const Light& light);

}  // namespace eidolon
