// Family "leaves": dead leaves.
#pragma once

#include "numerics/random.h"
#include "procedural/picture.h"

namespace eidolon {

/// Things of all sizes that hide each other (Matheron 1968; Lee, Mumford and Huang 2001): radii with density r^-3 between drawn
/// limits (about 1/50 and 1/2 of the side), which makes the statistics scale-invariant, each with its own texture and shading,
/// some out of focus, front to back until coloured noise shows through less than a drawn share of the picture.
Picture dead_leaves(RandomStream& random, int64_t channels, int64_t size);

}  // namespace eidolon
