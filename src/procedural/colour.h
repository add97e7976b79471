// Random colours of any number of channels.
#pragma once

#include <vector>

#include "numerics/random.h"

namespace eidolon {

using Colour = std::vector<float>;  ///< one value per channel, about [0, 1]

/// Of any luminance, most of them dull: channels scatter around the luminance by a drawn amount.
Colour draw_colour(RandomStream& random, int64_t channels);

/// Few colours that the things of one picture share, as things of one place do.
struct Palette {
  std::vector<Colour> colours;

  /// One of them, varied.
  Colour pick(RandomStream& random) const;
};
Palette draw_palette(RandomStream& random, int64_t channels);

Colour mixed(const Colour& from, const Colour& to, float share);

}  // namespace eidolon
