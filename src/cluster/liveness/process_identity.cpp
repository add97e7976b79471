#include "cluster/liveness/process_identity.h"

#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "storage/atomic_file.h"
#include "storage/posix_file.h"

namespace eidolon {
namespace {

std::string environment_text(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? "" : text;
}

std::string pid_space() {
  std::string boot = read_text("/proc/sys/kernel/random/boot_id");
  boot.erase(boot.find_last_not_of("\n") + 1);
  return boot + " " + std::filesystem::read_symlink("/proc/self/ns/pid").string();
}

/// Field 22 of /proc/<pid>/stat; 0 if there is no such process, or only its remains that nobody has waited for. The name in
/// field 2 may hold blanks and parentheses.
int64_t start_of(int64_t pid) {
  try {
    const std::string text = read_text("/proc/" + std::to_string(pid) + "/stat");
    std::istringstream fields(text.substr(text.rfind(')') + 1));
    std::string state, field;
    fields >> state;
    for (int number = 4; number <= 22; ++number) fields >> field;
    return state == "Z" || state == "X" ? 0 : std::stoll(field);
  } catch (const std::exception&) {
    return 0;
  }
}

}  // namespace

ProcessIdentity this_process() {
  const std::string restarts = environment_text("SLURM_RESTART_COUNT");
  return {
      host_name(), pid_space(), getpid(), start_of(getpid()), environment_text("SLURM_JOB_ID"), std::atoll(restarts.c_str())};
}

Life life_of(const ProcessIdentity& other, const ProcessIdentity& asker) {
  if (other.space == asker.space) return start_of(other.pid) == other.started ? Life::running : Life::gone;
  const bool earlier_start =
      !other.slurm_job.empty() && other.slurm_job == asker.slurm_job && other.slurm_restart < asker.slurm_restart;
  return earlier_start ? Life::gone : Life::unknown;
}

void to_json(nlohmann::ordered_json& json, const ProcessIdentity& mark) {
  json = {{"host", mark.host},       {"space", mark.space},         {"pid", mark.pid},
          {"started", mark.started}, {"slurm_job", mark.slurm_job}, {"slurm_restart", mark.slurm_restart}};
}

void from_json(const nlohmann::ordered_json& json, ProcessIdentity& mark) {
  mark = {json.at("host"),    json.at("space"),     json.at("pid"),
          json.at("started"), json.at("slurm_job"), json.at("slurm_restart")};
}

}  // namespace eidolon
