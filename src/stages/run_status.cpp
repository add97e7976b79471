#include "stages/run_status.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "job/reader.h"
#include "job/run_directory.h"
#include "job/synthesis_methods.h"
#include "reporting/metrics_log.h"
#include "storage/tensor_archive.h"
#include "synthesis/unit.h"

namespace eidolon {
namespace {

constexpr double silent_after = 60;  ///< seconds; a living rank is heard of every 10

/// The count that an attribute states; 0 where it states none.
int64_t count_in(const std::map<std::string, std::string>& attributes, const char* name) {
  const auto stated = attributes.find(name);
  if (stated == attributes.end()) return 0;
  const std::string& text = stated->second;
  int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  return error == std::errc() && end == text.data() + text.size() ? count : 0;
}

/// Iterations that the state of an unfinished unit holds; 0 without a sound state.
int64_t iterations_done(const std::filesystem::path& state) {
  if (verify_archive(state) != ArchiveState::sound) return 0;
  return count_in(read_attributes(state, false), "iteration");
}

SynthesisStatus synthesis_status(const Job& job, const RunDirectory& run, const std::vector<LaunchStatus>& launches) {
  const std::vector<Unit> units = units_of(job.synthesis);
  SynthesisStatus status;
  status.units = static_cast<int64_t>(units.size());
  for (const Unit& unit : units) {
    status.views += views_per_iteration(job.synthesis, unit) * static_cast<double>(iterations_of(job.synthesis));
    if (std::filesystem::exists(shard_file(run, job, unit.first, unit.last()))) {
      ++status.shards;
      continue;
    }
    const int64_t done = iterations_done(run.unit_state(unit.first));
    status.begun += done > 0 ? 1 : 0;
    if (!status.first_missing) status.first_missing = unit.first;
    status.views_left += views_per_iteration(job.synthesis, unit) * static_cast<double>(iterations_of(job.synthesis) - done);
  }
  for (const LaunchStatus& launch : launches) {
    for (const Beat& beat : launch.ranks) {
      const bool works = launch.state == LaunchStatus::State::running && beat.stage == "synthesize" && beat.unit == "views";
      if (works) status.views_per_second += beat.rate;
    }
  }
  return status;
}

std::optional<CheckpointStatus> newest_checkpoint(const RunDirectory& run) {
  const std::vector<int64_t> steps = checkpoint_steps(run);
  if (steps.empty()) return std::nullopt;
  const std::filesystem::path path = run.checkpoint(steps[0]);
  CheckpointStatus status{path.string(), verify_archive(path) == ArchiveState::sound, "", 0, steps[0], 0};
  struct stat file {};
  if (::stat(path.c_str(), &file) == 0) status.age_seconds = unix_seconds() - static_cast<double>(file.st_mtime);
  if (!status.sound) return status;
  const auto attributes = read_attributes(path, false);
  const auto text = [&](const char* name) { return attributes.contains(name) ? attributes.at(name) : std::string(); };
  status.phase = text("phase");
  status.phase_step = count_in(attributes, "phase_step");
  return status;
}

LaunchStatus launch_status(const std::filesystem::path& folder) {
  LaunchStatus launch;
  launch.name = folder.filename().string();
  launch.silence_seconds = std::numeric_limits<double>::infinity();
  bool ended = true;
  std::error_code vanished;
  for (const auto& file : std::filesystem::directory_iterator(folder, vanished)) {
    const auto beat = file.path().extension() == ".json" ? read_beat(file.path()) : std::nullopt;
    if (!beat) continue;
    // Ahead of this clock counts as much as behind it, as it does for claims (is_recent).
    launch.silence_seconds = std::min(launch.silence_seconds, std::abs(unix_seconds() - beat->time));
    ended = ended && beat->ended;
    launch.ranks.push_back(*beat);
  }
  std::ranges::sort(launch.ranks, {}, &Beat::rank);
  if (ended) launch.state = LaunchStatus::State::ended;
  if (!ended && launch.silence_seconds < silent_after) launch.state = LaunchStatus::State::running;
  return launch;
}

std::vector<LaunchStatus> launches_of(const RunDirectory& run) {
  std::vector<LaunchStatus> launches;
  std::error_code none;
  for (const auto& folder : std::filesystem::directory_iterator(run.heartbeats(), none)) {
    LaunchStatus launch = launch_status(folder.path());
    if (!launch.ranks.empty()) launches.push_back(std::move(launch));
  }
  std::ranges::sort(launches, std::ranges::greater(), &LaunchStatus::name);
  return launches;
}

/// Of the file's last line that has figures of training; none where no line has.
std::vector<LossStatus> last_losses(const std::filesystem::path& metrics) {
  std::vector<LossStatus> losses;
  for_metrics(metrics, [&](const nlohmann::ordered_json& line) {
    const std::string stage = line["stage"].get<std::string>();
    if (stage.ends_with("/held_out")) return;
    losses.clear();
    for (const auto& [name, value] : line.items()) {
      if (name != "step" && name != "time" && value.is_number())
        losses.push_back({.stage = stage, .step = line["step"].get<int64_t>(), .term = name, .value = value.get<double>()});
    }
  });
  return losses;
}

std::vector<LossStatus> losses_of(const RunDirectory& run, const std::vector<LaunchStatus>& launches) {
  std::vector<LossStatus> losses;
  for (const LaunchStatus& launch : launches) {
    losses = last_losses(run.synthesis_metrics(launch.name));
    if (!losses.empty()) break;
  }
  const std::vector<LossStatus> of_finetuning = last_losses(run.metrics());
  losses.insert(losses.end(), of_finetuning.begin(), of_finetuning.end());
  return losses;
}

std::optional<bool> is_data_free(const RunStatus& status, const RunDirectory& run) {
  const Unit first = units_of(status.job.synthesis).at(0);
  const bool student = status.checkpoint && status.checkpoint->sound;
  const std::filesystem::path file =
      student ? std::filesystem::path(status.checkpoint->file) : shard_file(run, status.job, first.first, first.last());
  if (!student && verify_archive(file) != ArchiveState::sound) return std::nullopt;
  const auto attributes = read_attributes(file, false);
  const auto stated = attributes.find("data_free");
  if (stated == attributes.end()) return std::nullopt;
  return stated->second == "true";
}

}  // namespace

RunStatus status_of(const std::filesystem::path& directory) {
  const RunDirectory run{directory};
  if (!std::filesystem::exists(run.resolved_job())) {
    throw BadInput(directory.string() + " holds no job.resolved.toml; it is not a run directory, or its first start failed");
  }
  RunStatus status{
      .job = read_resolved_job(run.resolved_job()), .checkpoint = newest_checkpoint(run), .launches = launches_of(run)};
  status.synthesis = synthesis_status(status.job, run, status.launches);
  status.losses = losses_of(run, status.launches);
  status.data_free = is_data_free(status, run);
  return status;
}

bool is_running(const RunStatus& status) {
  return std::ranges::any_of(status.launches,
                             [](const LaunchStatus& launch) { return launch.state == LaunchStatus::State::running; });
}

bool is_finished(const RunStatus& status) {
  return status.checkpoint && status.checkpoint->sound && status.checkpoint->phase == "finished";
}

std::optional<Beat> running_root(const RunStatus& status, const std::string& stage) {
  for (const LaunchStatus& launch : status.launches) {
    if (launch.state != LaunchStatus::State::running) continue;
    for (const Beat& beat : launch.ranks) {
      if (beat.rank == 0 && beat.stage == stage) return beat;
    }
  }
  return std::nullopt;
}

}  // namespace eidolon
