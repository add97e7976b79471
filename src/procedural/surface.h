// The colour pattern of an object's surface before lighting: striped, checked, mottled or nearly plain.
#pragma once

#include <cstdint>

#include "numerics/random.h"
#include "procedural/colour.h"
#include "procedural/noise_field.h"

namespace eidolon {

class Surface {
 public:
  /// `side` is the picture's size in pixels; stripes are 1/60 to 1/6 of it wide. `mottle` is rough noise and must
  /// outlive the surface.
  Surface(RandomStream& random, const Palette& palette, const NoiseField& mottle, int64_t side);

  /// The value of the pattern, about -1 to 1, at surface coordinates in pixels. The colour is base + value * accent.
  float pattern(double x, double y) const;

  /// Adds weight * light * colour at a point to out[c * stride] for each channel c.
  void add(double x, double y, float weight, float light, float* out, int64_t stride) const;

 private:
  enum class Kind { striped, checked, mottled };

  Kind kind_ = Kind::mottled;
  Colour base_, accent_;  ///< the accent is a difference of colours
  const NoiseField* mottle_;
  double along_x_ = 0, along_y_ = 0;    ///< direction, times cycles (stripes) or noise pixels per pixel
  double offset_x_ = 0, offset_y_ = 0;  ///< phase (stripes) or position in the noise
  float sharpness_ = 1;                 ///< 1: triangle wave; large: square wave
};

}  // namespace eidolon
