// Which process it was that wrote a file, told so that another can find out later whether that process still runs.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace eidolon {

struct ProcessIdentity {
  std::string host;
  std::string space;  ///< boot id and PID namespace: where `pid` means something
  int64_t pid = 0;
  int64_t started = 0;        ///< clock ticks between boot and the start of the process: a reused pid has another
  std::string slurm_job;      ///< SLURM_JOB_ID, or empty
  int64_t slurm_restart = 0;  ///< SLURM_RESTART_COUNT
};

ProcessIdentity this_process();

enum class Life { running, gone, unknown };

/// What `asker` can tell of `other` without its heartbeat. The same kernel and PID namespace: whether the process exists. An
/// earlier start of the same Slurm job: gone, since Slurm ends a job before it requeues it. Otherwise unknown.
Life life_of(const ProcessIdentity& other, const ProcessIdentity& asker);

void to_json(nlohmann::ordered_json& json, const ProcessIdentity& mark);
void from_json(const nlohmann::ordered_json& json, ProcessIdentity& mark);

}  // namespace eidolon
