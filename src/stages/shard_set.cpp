#include "stages/shard_set.h"

#include <algorithm>
#include <sstream>

#include "base/pulse.h"
#include "cluster/log.h"
#include "cluster/on_root.h"
#include "stages/stopwatch.h"
#include "storage/atomic_file.h"
#include "storage/tensor_archive.h"

namespace eidolon {
namespace {

bool has_sound_shard(const RunContext& context, const Unit& unit, const ShardOwner& owner) {
  const std::filesystem::path path = context.shard(unit);
  const ArchiveState state = verify_archive(path);
  pulse();
  if (state == ArchiveState::damaged) log::warn(path.string() + " is damaged; its images are made again");
  if (state != ArchiveState::sound) return false;
  require_own_shard(path, read_attributes(path, false), owner);
  return true;
}

/// Where some shards are there, the others may only be seen late: they were made on other nodes a moment ago.
void await_shards(const RunContext& context) {
  std::vector<std::filesystem::path> missing;
  const std::vector<Unit> units = units_of(context.job.synthesis);
  for (const Unit& unit : units) {
    if (!std::filesystem::exists(context.shard(unit))) missing.push_back(context.shard(unit));
  }
  if (missing.empty() || missing.size() == units.size()) return;
  const double patience = context.job.run.shard_wait_seconds;
  log::info("waiting for " + std::to_string(missing.size()) + " shards that are not seen yet, at most " +
            std::to_string(static_cast<int64_t>(patience)) + " s (run.shard_wait_seconds)");
  const Stopwatch watch;
  for (const auto& path : missing) await_file(path, std::max(patience - watch.seconds(), 0.0));
}

}  // namespace

void require_own_shard(const std::filesystem::path& path, const std::map<std::string, std::string>& attributes,
                       const ShardOwner& owner) {
  const auto id = attributes.find("synthesis_id"), facts = attributes.find("identity");
  if (id != attributes.end() && id->second == owner.synthesis_id) return;
  const std::string there = facts == attributes.end() ? "{}" : facts->second;
  throw BadInput(path.string() + " was made by another job: " + first_difference(owner.facts, there) +
                 "; use another --run-dir or run.shards, or remove the shards that are no longer wanted");
}

std::vector<Unit> units_without_shard(const RunContext& context, const std::vector<Unit>& units) {
  const std::string firsts = from_root(context.cluster.communicator, [&] {
    const ShardOwner owner = context.shard_owner();
    std::string missing;
    for (const Unit& unit : units) {
      if (!has_sound_shard(context, unit, owner)) missing += std::to_string(unit.first) + " ";
    }
    return missing;
  });
  std::vector<Unit> missing;
  std::istringstream list(firsts);
  for (int64_t first = 0; list >> first;) missing.push_back({first, context.job.synthesis.unit_images});
  return missing;
}

ShardFiles finished_shards(const RunContext& context) {
  on_root(context.cluster.communicator, [&] { await_shards(context); });
  const std::vector<Unit> units = units_of(context.job.synthesis);
  const std::vector<Unit> missing = units_without_shard(context, units);
  if (!missing.empty()) {
    throw_once(context.cluster.communicator,
               BadInput(std::to_string(missing.size()) + " shards are missing, the first is " +
                        context.shard(missing[0]).string() + "; run `eidolon synthesize` with this job first"));
  }
  ShardFiles shards{{}, context.job.run.shard_wait_seconds};
  for (const Unit& unit : units) shards.files.push_back({context.shard(unit), unit.first, unit.last()});
  return shards;
}

}  // namespace eidolon
