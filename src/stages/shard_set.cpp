#include "stages/shard_set.h"

#include <sstream>

#include "cluster/log.h"
#include "cluster/on_root.h"
#include "storage/tensor_archive.h"

namespace eidolon {
namespace {

bool has_sound_shard(const RunContext& context, const Unit& unit, const ShardOwner& owner) {
  const std::filesystem::path path = context.shard(unit);
  const ArchiveState state = verify_archive(path);
  if (state == ArchiveState::damaged) log::warn(path.string() + " is damaged; its images are made again");
  if (state != ArchiveState::sound) return false;
  const auto attributes = read_attributes(path, false);
  const auto id = attributes.find("synthesis_id"), facts = attributes.find("identity");
  if (id != attributes.end() && id->second == owner.synthesis_id) return true;
  const std::string there = facts == attributes.end() ? "{}" : facts->second;
  throw BadInput(path.string() + " was made by another job: " + first_difference(owner.facts, there) +
                 "; use another --run-dir, or remove the shards that are no longer wanted");
}

}  // namespace

std::vector<Unit> units_without_shard(const RunContext& context) {
  const SynthesisJob& job = context.job.synthesis;
  const std::string firsts = from_root(context.cluster.communicator, [&] {
    const ShardOwner owner = context.shard_owner();
    std::string missing;
    for (const Unit& unit : units_of(job)) {
      if (!has_sound_shard(context, unit, owner)) missing += std::to_string(unit.first) + " ";
    }
    return missing;
  });
  std::vector<Unit> units;
  std::istringstream list(firsts);
  for (int64_t first = 0; list >> first;) units.push_back({first, job.unit_images});
  return units;
}

std::vector<std::filesystem::path> finished_shards(const RunContext& context) {
  const std::vector<Unit> missing = units_without_shard(context);
  if (!missing.empty()) {
    throw_once(context.cluster.communicator,
               BadInput(std::to_string(missing.size()) + " shards are missing, the first is " +
                        context.shard(missing[0]).string() + "; run `eidolon synthesize` with this job first"));
  }
  std::vector<std::filesystem::path> shards;
  for (const Unit& unit : units_of(context.job.synthesis)) shards.push_back(context.shard(unit));
  return shards;
}

}  // namespace eidolon
