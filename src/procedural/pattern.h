// One pattern of a texture: a height at every place of the plane, and the colours it runs through.
#pragma once

#include <array>

#include "procedural/colour.h"
#include "procedural/noise_field.h"

namespace eidolon {

/// Smooth noise that displaces coordinates and makes patterns, rough noise that mottles.
struct PatternFields {
  NoiseField displace_x, displace_y, rough, smooth;
};

struct Pattern {
  enum class Kind { waves, rings, cells, noise };

  Kind kind;
  double rate_x, rate_y;      ///< cycles per pixel along and across
  double cosine, sine;        ///< of its direction
  double warp;                ///< pixels by which its coordinates are displaced
  double centre_x, centre_y;  ///< of rings
  float sharpness;
  std::array<Colour, 3> colours;
  float relief;  ///< strength of light and shade by its slope
};

Pattern draw_pattern(RandomStream& random, const Palette& palette, double side);

/// About -1 to 1, at a pixel.
float height_at(const Pattern& pattern, const PatternFields& fields, double x, double y);

}  // namespace eidolon
