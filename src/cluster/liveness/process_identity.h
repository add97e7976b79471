// The identity of a process, stored in files so that other processes can find out whether it still runs.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace eidolon {

struct ProcessIdentity {
  std::string host;
  std::string space;  ///< boot id and PID namespace in which `pid` is valid
  int64_t pid = 0;
  int64_t started = 0;        ///< start time in clock ticks since boot, which tells apart processes of the same pid
  std::string slurm_job;      ///< SLURM_JOB_ID, or empty
  int64_t slurm_restart = 0;  ///< SLURM_RESTART_COUNT
};

ProcessIdentity this_process();

enum class Life { running, gone, unknown };

/// What `asker` knows of `other` without its heartbeat. In the same boot and PID namespace: whether the process exists.
/// For an earlier start of the same Slurm job: gone, since Slurm ends a job before it requeues it. Otherwise unknown.
Life life_of(const ProcessIdentity& other, const ProcessIdentity& asker);

void to_json(nlohmann::ordered_json& json, const ProcessIdentity& mark);
void from_json(const nlohmann::ordered_json& json, ProcessIdentity& mark);

}  // namespace eidolon
