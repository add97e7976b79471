// A picture of optimised images a quarter of the way, for the report: growth/unit-00000000.h5 beside the shards. It belongs to
// no identity, and nothing but the report reads it.
#pragma once

#include <cstdint>
#include <filesystem>

#include "base/tensor.h"
#include "stages/run_context.h"

namespace eidolon {

inline constexpr int64_t growth_images = 4;  ///< the first of a unit

/// A quarter of a unit's iterations.
int64_t growth_iteration(const SynthesisJob& job);

/// Writes the frame if the unit is the run's first optimised one and stands at that iteration.
void keep_growth_frame(const RunContext& context, const Unit& unit, const UnitState& state);

/// uint8 n x C x S x S, of the unit whose shard is or will be `shard`. Undefined if there is no such frame, or no sound one.
Tensor read_growth_frame(const std::filesystem::path& shard, const Unit& unit);

}  // namespace eidolon
