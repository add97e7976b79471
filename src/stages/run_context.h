// What every stage of a run starts from.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/cluster.h"
#include "cluster/liveness/claim.h"
#include "cluster/liveness/heartbeat.h"
#include "job/identity.h"
#include "job/job.h"
#include "job/run_directory.h"
#include "model/loading/teacher.h"
#include "reporting/progress.h"
#include "synthesis/objective.h"
#include "synthesis/unit_files.h"

namespace eidolon {

struct RunContext {
  Job job;  ///< every `auto` resolved
  Cluster& cluster;
  RunDirectory run;
  Teacher teacher;                       ///< float32, on the CPU
  IdentityContext identity;              ///< of the images that are there, or else of those that this launch would make
  std::shared_ptr<Heartbeat> heartbeat;  ///< none before start_run()
  std::string made_otherwise = {};       ///< why this launch may not add to the images that are there; empty: it may
  bool data_free = true;                 ///< false where the images were given and are real

  // Of jobs whose images are set against the student of the round before (stages/rounds.h).
  std::vector<RunContext> earlier_rounds = {};  ///< of the run itself, in order
  const RunContext* round_before = nullptr;     ///< one of them; null: this is the first
  std::filesystem::path home = {};              ///< of a round: the run directory that it belongs to; otherwise empty

  at::Device device() const { return cluster.placement.device; }
  Network teacher_on_device() const { return teacher.model.to(device(), at::kFloat); }
  SynthesisTeacher synthesis_teacher() const;  ///< on the device, in the working precision, without an opponent
  std::filesystem::path heartbeats() const;    ///< of this launch
  ShardOwner shard_owner() const;
  std::filesystem::path shard(const Unit& unit) const;     ///< in run.shards if that is set, else in the run directory
  std::filesystem::path claim_of(const Unit& unit) const;  ///< beside its shard, so that runs which share shards share the work
  Claimant claimant(const std::string& work) const;        ///< this rank, which makes what the facts `work` say

  /// Tells the heartbeat what this rank is at, and how far.
  void report(const std::string& stage, const std::string& detail, const Progress& progress) const;
};

enum class Access {
  write,     ///< the stages
  rehearse,  ///< nothing is created or written
  look,      ///< the same, and what only synthesis needs stays `auto`
};

/// Binds the rank to its device and threads, loads the teacher and resolves every `auto` (as at the run's first start, if there
/// was one). Nothing is created or written, so a launch that is refused here leaves no trace. Collective.
RunContext open_run(const Job& given, Cluster& cluster, const std::filesystem::path& directory, Access access);

/// The run in `directory` as its own job.resolved.toml says, on whatever device and threads this machine has: for those who
/// only look. Nothing is created or written. Collective.
RunContext open_to_look(const Job& resolved, Cluster& cluster, const std::filesystem::path& directory);

/// Creates the run directory and this launch's log and heartbeat in it; writes job.resolved.toml and environment.json. `given`
/// is the job before open_run() resolved it. Collective.
void start_run(RunContext& context, const Job& given, const std::vector<std::string>& command_line);

}  // namespace eidolon
