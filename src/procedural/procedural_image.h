// Images made by rule alone: no teacher, no optimisation, no datum. They share statistics of photographs (a spectrum that falls
// as 1/f, edges of all sizes, occlusion, shading, contrast) without showing anything that exists; see Baradad et al., "Learning
// to see by looking at noise" (NeurIPS 2021).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/tensor.h"
#include "numerics/random.h"

namespace eidolon {

/// pink: coloured noise; leaves: dead leaves; scenes: lit objects on a ground in perspective; textures: warped patterns.
std::vector<std::string_view> procedural_families();

/// float32 C x S x S in [0, 1], a function of what `random` draws alone: single-threaded loops, so the bytes do not depend on
/// ranks or threads. BadInput if there is no such family or size < 16. 3 x 224 x 224 takes 6 to 21 ms of one core.
Tensor procedural_image(const std::string& family, RandomStream& random, int64_t channels, int64_t size);

}  // namespace eidolon
