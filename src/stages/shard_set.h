// The image shards of a run: which exist, which are missing, whose they are.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "finetuning/synthetic_images.h"
#include "stages/run_context.h"
#include "synthesis/unit.h"

namespace eidolon {

/// Those of `units` without a sound shard, found by rank 0 and given to all. A damaged shard counts as missing, with a warning;
/// one of another identity is refused (BadInput, naming the first differing key). Collective.
std::vector<Unit> units_without_shard(const RunContext& context, const std::vector<Unit>& units);

/// BadInput if the attributes of the shard at `path` are another job's, naming the first differing key.
void require_own_shard(const std::filesystem::path& path, const std::map<std::string, std::string>& attributes,
                       const ShardOwner& owner);

/// The shards of all units, waited for if only some are there; BadInput if one is missing. Collective.
ShardFiles finished_shards(const RunContext& context);

}  // namespace eidolon
