// Procedural images: made by rules alone, without a teacher, optimisation or data.
//
// They share statistics of photographs: a 1/f spectrum, edges of all sizes, occlusion, shading and contrast. See
// Baradad et al., "Learning to see by looking at noise" (NeurIPS 2021).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/tensor.h"
#include "numerics/random.h"

namespace eidolon {

/// The names of the families: pink, leaves, scenes, textures (procedural/families.h).
std::vector<std::string_view> procedural_families();

/// float32 C x S x S in [0, 1], a function of the numbers that `random` draws alone. The loops are single-threaded, so
/// the bytes do not depend on ranks or threads. 3 x 224 x 224 takes 6 to 21 ms of one core. Throws BadInput if there is
/// no such family, or if size < 16.
Tensor procedural_image(const std::string& family, RandomStream& random, int64_t channels, int64_t size);

}  // namespace eidolon
