// Random colours and palettes, for any number of channels.
#pragma once

#include <cstdint>
#include <vector>

#include "numerics/random.h"

namespace eidolon {

using Colour = std::vector<float>;  ///< one value per channel, about [0, 1]

/// Draws a colour: a uniform luminance, and a deviation of each channel from it of a drawn size. Most colours are dull.
Colour draw_colour(RandomStream& random, int64_t channels);

/// The few colours that all objects of one picture share, as in photographs of one place.
struct Palette {
  std::vector<Colour> colours;

  /// One of the colours, slightly varied.
  Colour pick(RandomStream& random) const;
};
Palette draw_palette(RandomStream& random, int64_t channels);

/// Linear interpolation; `share` is the weight of `to`.
Colour mixed(const Colour& from, const Colour& to, float share);

}  // namespace eidolon
