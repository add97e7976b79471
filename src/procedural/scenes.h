// Family "scenes": a place with a horizon.
#pragma once

#include "numerics/random.h"
#include "procedural/picture.h"

namespace eidolon {

/// Three to two dozen lit things (scene_objects.h) on a textured ground seen in perspective, with haze towards the horizon,
/// under a sky with clouds. What dead leaves lack: up and down, near and far, one light, things that stand for themselves.
Picture scene(RandomStream& random, int64_t channels, int64_t size);

}  // namespace eidolon
