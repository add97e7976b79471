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
  double views = 0;             ///< of all units, by one optimisation each
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

/// The newest one that is on record.
struct LossStatus {
  std::string stage;  ///< "synthesize/unit 16", "finetune/distill"
  int64_t step = 0;
  std::string term;  ///< of synthesis; "loss" of fine-tuning
  double value = 0;
};

struct RunStatus {
  Job job;
  SynthesisStatus synthesis = {};
  std::optional<CheckpointStatus> checkpoint = {};  ///< the newest
  std::vector<LaunchStatus> launches = {};          ///< newest first
  std::vector<LossStatus> losses = {};              ///< of the newest launch that made images, and of fine-tuning
  std::optional<bool> data_free = {};               ///< as the newest checkpoint or, without one, the first shard says
};

/// BadInput if `run_directory` is none.
RunStatus status_of(const std::filesystem::path& run_directory);

bool is_running(const RunStatus& status);   ///< a launch is heard of
bool is_finished(const RunStatus& status);  ///< the newest checkpoint is the finished student

/// The beat of rank 0 of a running launch that is in `stage`, if there is one.
std::optional<Beat> running_root(const RunStatus& status, const std::string& stage);

}  // namespace eidolon
