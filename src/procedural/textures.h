// Family "textures": warped patterns.
#pragma once

#include "numerics/random.h"
#include "procedural/picture.h"

namespace eidolon {

/// Two to four regions, divided by the levels of smooth noise, each with a pattern (waves, rings, cells or noise) whose
/// coordinates are displaced by noise (Perlin 1985), coloured along a palette and lit like a relief. What dead leaves lack:
/// oriented and repeated structure without outlines, as in fur, wood, water, stone or leafage.
Picture warped_texture(RandomStream& random, int64_t channels, int64_t size);

}  // namespace eidolon
