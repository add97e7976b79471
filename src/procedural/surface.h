// How a piece of something looks before light falls on it: striped, checked, mottled or nearly plain.
#pragma once

#include "procedural/colour.h"
#include "procedural/noise_field.h"

namespace eidolon {

class Surface {
 public:
  /// `side` is the picture's size in pixels: stripes are 1/60 to 1/6 of it wide. `mottle`, rough noise, must outlive the
  /// surface.
  Surface(RandomStream& random, const Palette& palette, const NoiseField& mottle, int64_t side);

  /// The place between base and accent, -1 to 1 or so, at surface coordinates in pixels.
  float pattern(double x, double y) const;

  /// Adds weight * light * colour at a place to out[c * stride].
  void add(double x, double y, float weight, float light, float* out, int64_t stride) const;

 private:
  enum class Kind { striped, checked, mottled };

  Kind kind_ = Kind::mottled;
  Colour base_, accent_;
  const NoiseField* mottle_;
  double along_x_ = 0, along_y_ = 0;    ///< cycles (stripes) or noise pixels per pixel, and the direction
  double offset_x_ = 0, offset_y_ = 0;  ///< phase (stripes) or place in the noise
  float sharpness_ = 1;                 ///< 1: triangle wave; large: square wave
};

}  // namespace eidolon
