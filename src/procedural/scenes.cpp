#include "procedural/scenes.h"

#include <algorithm>
#include <functional>

#include "procedural/scene_objects.h"

namespace eidolon {
namespace {

/// What a scene is made of besides its objects.
struct Place {
  Camera camera;
  Light light;
  Palette palette;
  Colour zenith, haze;  ///< the sky above and at the horizon
  double haze_depth;    ///< at which haze has taken 63 %
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

/// Near to far, since the canvas is painted front to back.
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
        const double pixels = 0.4 * focal;  // of the surface per unit of ground
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
        const auto white = static_cast<float>(place.cloudiness * clouds.at(x, 2 * y));  // clouds lie flat
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
