// The families of procedural images. Each function draws one picture, before its final exposure.
#pragma once

#include <cstdint>

#include "numerics/random.h"
#include "procedural/canvas.h"

namespace eidolon {

/// Family "pink": Gaussian noise with a spectrum that falls as a power of the frequency.
///
/// A luminance field shared by all channels has an exponent from U(0.9, 1.4). Each channel adds a weaker, smoother
/// field of its own with an exponent from U(1.2, 1.6). Luminance has 0.8 to 0.97 of the variance, as among natural
/// colours (Ruderman et al. 1998).
Picture coloured_noise(RandomStream& random, int64_t channels, int64_t size);

/// Family "leaves": dead leaves, objects of all sizes that occlude each other (Matheron 1968; Lee, Mumford and Huang
/// 2001).
///
/// Radii have density r^-3 between drawn limits (about 1/50 and 1/2 of the side), which makes the statistics
/// scale-invariant. Each leaf has its own texture and shading; some are out of focus. They are painted front to back
/// until coloured noise in the background shows through less than a drawn fraction of the picture.
Picture dead_leaves(RandomStream& random, int64_t channels, int64_t size);

/// Family "scenes": a place with a horizon.
///
/// Three to two dozen lit objects stand on a textured ground in perspective, with haze towards the horizon, under a
/// cloudy sky. In contrast to dead leaves these pictures have an up and a down, depth, one light and separate objects.
Picture scene(RandomStream& random, int64_t channels, int64_t size);

/// Family "textures": warped patterns.
///
/// The levels of smooth noise divide the picture into two to four regions. Each has a pattern (waves, rings, cells or
/// noise) whose coordinates are displaced by noise (Perlin 1985), coloured along a palette and shaded like a relief. In
/// contrast to dead leaves these pictures have oriented and repeated structure without outlines, like fur, wood, water,
/// stone or foliage.
Picture warped_texture(RandomStream& random, int64_t channels, int64_t size);

}  // namespace eidolon
