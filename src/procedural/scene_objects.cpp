#include "procedural/scene_objects.h"

namespace eidolon {
namespace {

/// Where a ray meets the object: pixels to the outline (negative inside) and the unit normal there.
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

/// A cone narrows towards its top.
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
  const double eye = object.base - camera.horizon;  // height of the horizon above the foot
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

/// A soft dark ellipse at the foot, away from the light. Being black it adds nothing and only hides.
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

}  // namespace

Light draw_light(RandomStream& random) {
  const double angle = random.uniform(0.15, 0.85) * std::numbers::pi, forward = random.uniform(0.2, 0.8);
  const double across = std::sqrt(1 - forward * forward);
  return {across * std::cos(angle), -across * std::sin(angle), forward, random.uniform(0.25, 0.6)};
}

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

}  // namespace eidolon
