// Units on disk: unfinished ones as states, finished ones as shards.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "storage/image_shard.h"
#include "synthesis/optimization.h"

namespace eidolon {

/// Whose a file is: written into every unit state and shard.
struct ShardOwner {
  std::string synthesis_id;
  std::string facts;     ///< the canonical JSON behind synthesis_id
  std::string job;       ///< the job as TOML
  std::string versions;  ///< JSON
};

void write_unit_state(const std::filesystem::path& path, const UnitState& state, const ShardOwner& owner);

/// Nothing if there is no state, or one that is damaged or of another identity: the unit then starts anew.
std::optional<UnitState> read_unit_state(const std::filesystem::path& path, const ShardOwner& owner, at::Device device);

/// The finished unit's shard: bytes, targets and the losses of the bytes themselves.
ImageShard finished_shard(const SynthesisTeacher& teacher, const Unit& unit, const UnitObjective& objective,
                          const UnitState& state);

/// The start alone, where the unit is not optimised.
ImageShard start_shard(const SynthesisTeacher& teacher, const SynthesisJob& job, const Unit& unit);

/// Fills in the attributes that every shard carries.
void stamp(ImageShard& shard, const SynthesisJob& job, const Unit& unit, const Preprocessing& preprocessing,
           const ShardOwner& owner);

}  // namespace eidolon
