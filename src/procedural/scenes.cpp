#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
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

/// A pinhole camera one unit above a flat ground. The ground at depth z is at row horizon + focal / z.
struct Camera {
  double horizon = 0;  ///< pixel row
  double focal = 0;    ///< pixels
};

/// Directional light. Unit vector towards it: x to the right, y downwards, z towards the camera.
struct Light {
  double x, y, z;
  double ambient;  ///< light on surfaces that face away

  /// The light on a surface with that unit normal, about 0.3 to 1.3.
  float on(double normal_x, double normal_y, double normal_z) const {
    return static_cast<float>(ambient + (1.3 - ambient) * std::max(normal_x * x + normal_y * y + normal_z * z, 0.0));
  }
};
Light draw_light(RandomStream& random) {
  const double angle = random.uniform(0.15, 0.85) * std::numbers::pi, forward = random.uniform(0.2, 0.8);
  const double across = std::sqrt(1 - forward * forward);
  return {across * std::cos(angle), -across * std::sin(angle), forward, random.uniform(0.25, 0.6)};
}

/// An object that stands on the ground, lit from one side.
struct SceneObject {
  enum class Kind { ellipsoid, cylinder, cone, block };

  Kind kind = Kind::ellipsoid;
  double x = 0, base = 0;             ///< pixel column of its middle, pixel row of its foot
  double half_width = 0, height = 0;  ///< pixels
  double corner = 0;                  ///< column of the front edge of a block, relative to x
};

/// The point where the ray of a pixel meets an object: signed distance to the outline in pixels (negative inside) and
/// unit normal.
struct Hit {
  double distance, normal_x, normal_y, normal_z;
};

double rest_of_unit(double x, double y) {
  return std::sqrt(std::max(1 - x * x - y * y, 0.0));
}

Hit hit_ellipsoid(const SceneObject& object, double dx, double up) {
  const double half_height = object.height / 2;
  const double u = dx / object.half_width, v = (half_height - up) / half_height;
  const double q = std::sqrt(u * u + v * v);
  return {(q - 1) * std::min(object.half_width, half_height), u, v, rest_of_unit(u, v)};
}

/// For cylinders and cones. A cone narrows towards its top.
Hit hit_round(const SceneObject& object, double dx, double up) {
  const bool cone = object.kind == SceneObject::Kind::cone;
  const double half = object.half_width * (cone ? std::max(1 - up / object.height, 0.0) : 1.0) + 1e-6;
  const double u = std::clamp(dx / half, -1.0, 1.0);
  return {std::max({std::abs(dx) - half, -up, up - object.height}), u, cone ? -0.3 : 0.0, rest_of_unit(u, 0)};
}

/// Two walls that meet at the corner nearest to the camera; their upper and lower edges run towards the horizon.
Hit hit_block(const SceneObject& object, const Camera& camera, double dx, double up) {
  const bool right = dx > object.corner;
  const double wall = right ? object.half_width - object.corner : object.half_width + object.corner;
  const double shrink = 0.25 * std::min(std::abs(dx - object.corner) / object.half_width, 1.0) * (right ? 1 : 0.8);
  const double eye = object.base - camera.horizon;  // height of the horizon above the foot, in pixels
  const double foot = shrink * eye, top = object.height + shrink * (eye - object.height);
  const double outside = std::abs(dx - object.corner) - wall;
  const double slant = right ? 0.8 : -0.6;
  return {std::max({outside, foot - up, up - top}), slant, 0, std::sqrt(1 - slant * slant)};
}

Hit hit(const SceneObject& object, const Camera& camera, double dx, double up) {
  switch (object.kind) {
    case SceneObject::Kind::ellipsoid:
      return hit_ellipsoid(object, dx, up);
    case SceneObject::Kind::block:
      return hit_block(object, camera, dx, up);
    default:
      return hit_round(object, dx, up);
  }
}

/// A soft black ellipse at the foot, away from the light. It adds no colour and only covers.
void lay_shadow(Canvas& canvas, const SceneObject& object, const Light& light) {
  const double half_width = 1.3 * object.half_width, half_height = 0.25 * object.half_width;
  const double x = object.x - 0.5 * light.x * object.half_width, y = object.base;
  lay_under(
      canvas, canvas.around(x, y, half_width, half_height),
      [&](double column, double row) {
        const double u = (column - x) / half_width, v = (row - y) / half_height;
        return static_cast<float>(0.6 * std::max(1 - u * u - v * v, 0.0));
      },
      [](double, double, float, float*, int64_t) {});
}

/// Draws an object whose foot is at row `base`. Its size grows as it is nearer.
SceneObject draw_object(RandomStream& random, const Camera& camera, double base, int64_t side) {
  SceneObject object;
  object.kind = static_cast<SceneObject::Kind>(random.below(4));
  object.x = random.uniform(0, static_cast<double>(side));
  object.base = base;
  const double unit = base - camera.horizon;                  // pixels that one unit of the ground's scale fills at this depth
  const bool tall = object.kind == SceneObject::Kind::block;  // lower ones would show their roofs
  object.height = unit * std::exp(random.uniform(std::log(tall ? 1.1 : 0.25), std::log(tall ? 2.5 : 1.6)));
  object.half_width = object.height * 0.5 * std::exp(random.uniform(std::log(0.3), std::log(1.2)));
  object.corner = object.half_width * random.uniform(-0.7, 0.7);
  return object;
}

/// Lays the object, and its shadow on the ground, under the canvas.
void lay_object(Canvas& canvas, const SceneObject& object, const Surface& surface, const Camera& camera, const Light& light) {
  constexpr double softness = 1.3;
  const double middle = object.base - object.height / 2;
  lay_under(
      canvas, canvas.around(object.x, middle, object.half_width * 1.8 + 1, object.height / 2 + 1),
      [&](double x, double y) { return coverage(hit(object, camera, x - object.x, object.base - y).distance, softness); },
      [&](double x, double y, float weight, float* out, int64_t stride) {
        const double dx = x - object.x, up = object.base - y;
        const Hit here = hit(object, camera, dx, up);
        // Patterns are compressed where the surface turns away.
        const double turned = 1 + 0.6 * here.normal_x * here.normal_x;
        surface.add(dx * turned, up * (1 + 0.6 * here.normal_y * here.normal_y), weight,
                    light.on(here.normal_x, here.normal_y, here.normal_z), out, stride);
      });
  lay_shadow(canvas, object, light);
}

/// Everything in a scene but its objects.
struct Place {
  Camera camera;
  Light light;
  Palette palette;
  Colour zenith, haze;  ///< colours of the sky above and at the horizon
  double haze_depth;    ///< depth at which haze has replaced 63 % of a colour
  double cloudiness;
};

Place draw_place(RandomStream& random, int64_t channels, double side) {
  Place place;
  place.camera = {side * random.uniform(0.15, 0.6), side * random.uniform(0.8, 1.6)};
  place.light = draw_light(random);
  place.palette = draw_palette(random, channels);
  place.zenith = draw_colour(random, channels);
  place.haze = mixed(draw_colour(random, channels), Colour(static_cast<size_t>(channels), 0.85F), 0.5F);
  place.haze_depth = random.uniform(2, 9);
  place.cloudiness = random.uniform(0, 0.25);
  return place;
}

/// Lays the objects from near to far, since the canvas is painted front to back.
void lay_objects(RandomStream& random, Canvas& canvas, const Place& place, const NoiseField& mottle) {
  const int64_t side = canvas.picture.size;
  const double room = static_cast<double>(side) - place.camera.horizon;
  std::vector<double> feet(static_cast<size_t>(3 + random.below(22)));
  for (double& foot : feet) foot = place.camera.horizon + room * std::exp(random.uniform(std::log(0.06), 0.0));
  std::ranges::sort(feet, std::greater<>());
  for (const double foot : feet) {
    const SceneObject object = draw_object(random, place.camera, foot, side);
    const Surface surface(random, place.palette, mottle, side);
    lay_object(canvas, object, surface, place.camera, place.light);
  }
}

void add_mixed(const Colour& colour, float weight, float* out, int64_t stride) {
  for (const float value : colour) {
    *out += weight * value;
    out += stride;
  }
}

void lay_ground(RandomStream& random, Canvas& canvas, const Place& place, const NoiseField& mottle) {
  const Surface surface(random, place.palette, mottle, canvas.picture.size);
  const double middle = static_cast<double>(canvas.picture.size) / 2, focal = place.camera.focal;
  const float light = place.light.on(0, -1, 0);
  lay_under(
      canvas, canvas.all(), [&](double, double y) { return coverage(place.camera.horizon - y, 1.3); },
      [&](double x, double y, float weight, float* out, int64_t stride) {
        const double depth = focal / std::max(y - place.camera.horizon, 0.5);
        const double pixels = 0.4 * focal;  // of the surface, per unit of ground
        const auto clear = static_cast<float>(std::exp(-depth / place.haze_depth));
        surface.add((x - middle) * depth / focal * pixels, depth * pixels, weight * clear, light, out, stride);
        add_mixed(place.haze, weight * (1 - clear), out, stride);
      });
}

void lay_sky(Canvas& canvas, const Place& place, const NoiseField& clouds) {
  lay_under(
      canvas, canvas.all(), [](double, double) { return 1.0F; },
      [&](double x, double y, float weight, float* out, int64_t stride) {
        const double height = std::clamp(1 - y / place.camera.horizon, 0.0, 1.0);
        const auto white = static_cast<float>(place.cloudiness * clouds.at(x, 2 * y));  // clouds are twice as wide as high
        add_mixed(place.zenith, weight * static_cast<float>(height), out, stride);
        add_mixed(place.haze, weight * static_cast<float>(1 - height), out, stride);
        for (size_t c = 0; c < place.zenith.size(); ++c) out[static_cast<int64_t>(c) * stride] += weight * white;
      });
}

}  // namespace

Picture scene(RandomStream& random, int64_t channels, int64_t size) {
  const NoiseField mottle = draw_noise_field(random, size, random.uniform(0.6, 1.1));
  const NoiseField clouds = draw_noise_field(random, size, random.uniform(1.2, 1.7));
  const Place place = draw_place(random, channels, static_cast<double>(size));
  Canvas canvas(channels, size);
  lay_objects(random, canvas, place, mottle);
  lay_ground(random, canvas, place, mottle);
  lay_sky(canvas, place, clouds);
  return std::move(canvas.picture);
}

}  // namespace eidolon
