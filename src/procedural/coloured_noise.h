// Family "pink": coloured noise.
#pragma once

#include "procedural/noise_field.h"
#include "procedural/picture.h"

namespace eidolon {

/// A field of luminance that all channels share and a weaker one of each channel's own, with exponents ~ U(0.9, 1.4); colour
/// is smoother, ~ U(1.2, 1.6). The share of luminance in the variance is 0.8 to 0.97, as among natural colours (Ruderman et al.
/// 1998).
Picture coloured_noise(RandomStream& random, int64_t channels, int64_t size);

}  // namespace eidolon
