// The image shards of a run: which exist, which are missing, whose they are.
#pragma once

#include <vector>

#include "finetuning/synthetic_images.h"
#include "stages/run_context.h"
#include "synthesis/unit.h"

namespace eidolon {

/// Those of `units` without a sound shard, found by rank 0 and given to all. A damaged shard counts as missing, with a warning;
/// one of another identity is refused (BadInput, naming the first differing key). Collective.
std::vector<Unit> units_without_shard(const RunContext& context, const std::vector<Unit>& units);

/// The shards of all units, waited for if only some are there; BadInput if one is missing. Collective.
ShardFiles finished_shards(const RunContext& context);

}  // namespace eidolon
