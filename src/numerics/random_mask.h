// Random masks of a batch, drawn on the device where that is fast.
#pragma once

#include <vector>

#include "numerics/random.h"

namespace eidolon {

/// bool, B x shape, on `device`: row b is RandomStream(seed, purpose, indices[b], iteration).mask(shape, probability), bit for
/// bit. On CUDA one kernel draws it; elsewhere the CPU does.
Tensor random_mask(uint64_t seed, Purpose purpose, const std::vector<int64_t>& indices, int64_t iteration,
                   at::IntArrayRef shape, double probability, at::Device device);

}  // namespace eidolon
