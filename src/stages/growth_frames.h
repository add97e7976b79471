// A picture of optimised images a quarter of the way, for the report: growth/unit-00000000.h5 beside the shards. It belongs to
// no identity, and nothing but the report reads it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "base/tensor.h"
#include "stages/run_context.h"

namespace eidolon {

inline constexpr int64_t growth_images = 4;  ///< the first of a unit

struct GrowthFrame {
  int64_t iteration = 0;  ///< iterations done
  Tensor images;          ///< uint8 n x C x S x S
};

/// Writes the frame if the unit is the run's first optimised one and stands at a quarter of its iterations.
void keep_growth_frame(const RunContext& context, const Unit& unit, const UnitState& state);

/// Of the unit whose shard is or will be `shard`. Nothing if there is none, or it is damaged.
std::optional<GrowthFrame> read_growth_frame(const std::filesystem::path& shard, const Unit& unit);

}  // namespace eidolon
