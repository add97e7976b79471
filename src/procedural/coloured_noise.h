// Family "pink": coloured noise.
#pragma once

#include "procedural/noise_field.h"
#include "procedural/picture.h"

namespace eidolon {

/// A field of luminance that all channels share, with exponent ~ U(0.9, 1.4), and a weaker and smoother one of each channel's
/// own, ~ U(1.2, 1.6). Luminance has 0.8 to 0.97 of the variance, as among natural colours (Ruderman et al. 1998).
Picture coloured_noise(RandomStream& random, int64_t channels, int64_t size);

}  // namespace eidolon
