// The shards of a run: which exist, which are missing, whose they are.
#pragma once

#include <filesystem>
#include <vector>

#include "stages/run_context.h"
#include "synthesis/unit.h"

namespace eidolon {

/// The units without a sound shard, listed once by rank 0 and given to all. A damaged shard counts as missing, with a warning;
/// one of another identity is refused (BadInput, naming the first differing key). Collective.
std::vector<Unit> units_without_shard(const RunContext& context);

/// The shards of all units; BadInput if one is missing. Collective.
std::vector<std::filesystem::path> finished_shards(const RunContext& context);

}  // namespace eidolon
