#include "procedural/surface.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

namespace eidolon {
namespace {

/// A triangle wave from -1 to 1 of period 1.
float triangle_wave(double t) {
  return static_cast<float>(4 * std::abs(t - std::floor(t) - 0.5) - 1);
}

}  // namespace

Surface::Surface(RandomStream& random, const Palette& palette, const NoiseField& mottle, int64_t side)
    : base_(palette.pick(random)), accent_(palette.pick(random)), mottle_(&mottle) {
  const double u = random.uniform(), angle = random.uniform(0, 2 * std::numbers::pi);
  kind_ = u < 0.17 ? Kind::striped : u < 0.25 ? Kind::checked : Kind::mottled;
  const bool waves = kind_ != Kind::mottled;
  const double period = std::max(2.5, static_cast<double>(side) / 60 * std::exp(random.uniform(0, std::log(10.0))));
  const double rate = waves ? 1 / period : std::exp(random.uniform(std::log(0.3), std::log(1.5)));
  along_x_ = rate * std::cos(angle);
  along_y_ = rate * std::sin(angle);
  offset_x_ = random.uniform(0, static_cast<double>(mottle.size));
  offset_y_ = random.uniform(0, static_cast<double>(mottle.size));
  sharpness_ = static_cast<float>(random.uniform(1, 6));
  const auto contrast =
      static_cast<float>(waves ? random.uniform(0.1, 0.5) : std::exp(random.uniform(std::log(0.02), std::log(0.35))));
  for (size_t c = 0; c < base_.size(); ++c) accent_[c] = contrast * (accent_[c] - base_[c] + 0.15F);
}

float Surface::pattern(double x, double y) const {
  const double t = x * along_x_ + y * along_y_ + offset_x_, s = y * along_x_ - x * along_y_ + offset_y_;
  switch (kind_) {
    case Kind::striped:
      return std::clamp(sharpness_ * triangle_wave(t), -1.0F, 1.0F);
    case Kind::checked:
      return std::clamp(sharpness_ * triangle_wave(t) * triangle_wave(s), -1.0F, 1.0F);
    case Kind::mottled:
      break;
  }
  return mottle_->at(t, s);
}

void Surface::add(double x, double y, float weight, float light, float* out, int64_t stride) const {
  const float place = pattern(x, y), factor = weight * light;
  for (size_t c = 0; c < base_.size(); ++c, out += stride) *out += factor * (base_[c] + place * accent_[c]);
}

}  // namespace eidolon
