// What a run directory tells from its files alone, while its job runs or after it died.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cluster/liveness/heartbeat.h"
#include "job/job.h"

namespace eidolon {

struct SynthesisStatus {
  int64_t shards = 0, units = 0, begun = 0;  ///< begun: unfinished, with a state on disk
  std::optional<int64_t> first_missing;
  double views_left = 0;        ///< of units without shard, less what their states hold
  double views_per_second = 0;  ///< of all ranks that are heard of
};

struct CheckpointStatus {
  std::string file;
  bool sound = false;
  std::string phase;
  int64_t phase_step = 0, step = 0;
  double age_seconds = 0;
};

struct LaunchStatus {
  enum class State { running, ended, silent } state = State::silent;
  std::string name;
  double silence_seconds = 0;  ///< since the last heartbeat of any of its ranks
  std::vector<Beat> ranks;
};

struct RunStatus {
  Job job;
  SynthesisStatus synthesis;
  std::optional<CheckpointStatus> checkpoint;  ///< the newest
  std::vector<LaunchStatus> launches;          ///< newest first
};

/// BadInput if `run_directory` is none.
RunStatus status_of(const std::filesystem::path& run_directory);

/// The beat of rank 0 of a running launch that is in `stage`, if there is one.
std::optional<Beat> running_root(const RunStatus& status, const std::string& stage);

}  // namespace eidolon
