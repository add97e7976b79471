#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>

#include "job/run_directory.h"
#include "reporting/event_file.h"
#include "reporting/progress_text.h"
#include "reporting/result.h"
#include "stages/prometheus_text.h"
#include "stages/run_status.h"
#include "stages/stages.h"
#include "storage/atomic_file.h"

namespace eidolon {
namespace {

using nlohmann::ordered_json;

constexpr std::chrono::seconds between_looks{2};
constexpr size_t ranks_shown = 16;  ///< of a launch; the silent ones always

const char* name_of(LaunchStatus::State state) {
  if (state == LaunchStatus::State::running) return "running";
  return state == LaunchStatus::State::ended ? "ended" : "not heard of";
}

/// "35.5 views/s, 1:20 min left"; empty where nothing moves.
std::string speed_text(double rate, double left, const std::string& unit) {
  if (rate <= 0) return "";
  char speed[64];
  std::snprintf(speed, sizeof speed, "%.3g %s/s, ", rate, unit.c_str());
  return speed + duration_text(left / rate) + " left";
}

void print_synthesis(std::ostream& out, const SynthesisStatus& s) {
  out << "synthesis: " << s.shards << " of " << s.units << " shards";
  if (s.first_missing) out << "; first missing unit " << *s.first_missing << ", " << s.begun << " begun";
  const std::string speed = speed_text(s.views_per_second, s.views_left, "views");
  out << (speed.empty() ? "" : "; " + speed) << "\n";
}

void print_finetuning(std::ostream& out, const RunStatus& status) {
  out << "fine-tuning: ";
  if (!status.checkpoint) {
    out << "no checkpoint yet";
  } else if (!status.checkpoint->sound) {
    out << "the newest checkpoint, " << status.checkpoint->file << ", is damaged; the one before will be used";
  } else {
    const CheckpointStatus& c = *status.checkpoint;
    out << "checkpoint of step " << c.step << ", phase " << c.phase << " (step " << c.phase_step << " of it), "
        << duration_text(c.age_seconds) << " old";
  }
  if (const auto beat = running_root(status, "finetune")) {
    const std::string speed = speed_text(beat->rate, beat->total - beat->done, beat->unit);
    out << "; now at " << beat->detail << (speed.empty() ? "" : ", " + speed);
  }
  out << "\n";
}

void print_launch(std::ostream& out, const LaunchStatus& launch, double now) {
  out << "launch " << launch.name << ": " << name_of(launch.state) << ", " << launch.ranks.size()
      << (launch.ranks.size() == 1 ? " rank" : " ranks");
  if (launch.state != LaunchStatus::State::running) out << ", last " << duration_text(launch.silence_seconds) << " ago";
  out << "\n";
  for (size_t i = 0; i < launch.ranks.size(); ++i) {
    const Beat& beat = launch.ranks[i];
    const double silence = std::abs(now - beat.time);  // a clock may run ahead
    if (i >= ranks_shown && silence < 30) continue;
    out << "  rank " << beat.rank << " on " << beat.host << ": " << beat.stage << " " << beat.detail << ", heard of "
        << duration_text(silence) << " ago\n";
  }
}

ordered_json json_of(const LaunchStatus& launch) {
  ordered_json ranks = ordered_json::array();
  for (const Beat& beat : launch.ranks) {
    ranks.push_back({{"rank", beat.rank},
                     {"host", beat.host},
                     {"stage", beat.stage},
                     {"detail", beat.detail},
                     {"done", beat.done},
                     {"total", beat.total},
                     {"unit", beat.unit},
                     {"rate", beat.rate},
                     {"time", beat.time}});
  }
  return {
      {"name", launch.name}, {"state", name_of(launch.state)}, {"silence_seconds", launch.silence_seconds}, {"ranks", ranks}};
}

ordered_json json_of(const RunStatus& status) {
  const SynthesisStatus& s = status.synthesis;
  ordered_json json{{"synthesis",
                     {{"shards", s.shards},
                      {"units", s.units},
                      {"begun", s.begun},
                      {"views", s.views},
                      {"views_left", s.views_left},
                      {"views_per_second", s.views_per_second}}},
                    {"checkpoint", nullptr},
                    {"losses", ordered_json::array()},
                    {"launches", ordered_json::array()}};
  if (status.data_free) json["data_free"] = *status.data_free;
  if (const auto& c = status.checkpoint) {
    json["checkpoint"] = {{"file", c->file},   {"sound", c->sound},
                          {"phase", c->phase}, {"phase_step", c->phase_step},
                          {"step", c->step},   {"age_seconds", c->age_seconds}};
  }
  for (const LossStatus& loss : status.losses)
    json["losses"].push_back({{"stage", loss.stage}, {"step", loss.step}, {"term", loss.term}, {"value", loss.value}});
  for (const LaunchStatus& launch : status.launches) json["launches"].push_back(json_of(launch));
  return json;
}

std::string text_of(const std::filesystem::path& directory, const RunStatus& status) {
  std::ostringstream text;
  text << directory.string() << "\n";
  print_synthesis(text, status.synthesis);
  print_finetuning(text, status);
  for (const LaunchStatus& launch : status.launches) print_launch(text, launch, unix_seconds());
  return text.str();
}

/// Looks, and brings the files for other watchers up to date.
RunStatus look(const std::filesystem::path& directory, const StatusOptions& options) {
  RunStatus status = status_of(directory);
  if (!options.tensorboard.empty()) follow_metrics(RunDirectory{directory}.metrics(), options.tensorboard);
  if (!options.prometheus.empty()) write_text_atomically(options.prometheus, prometheus_text(directory, status));
  return status;
}

}  // namespace

ExitCode status(const std::filesystem::path& directory, const StatusOptions& options) {
  RunStatus status = look(directory, options);
  if (options.json) {
    print_result(json_text(json_of(status)) + "\n");
    return ExitCode::done;
  }
  print_result(text_of(directory, status));
  while (options.watch && is_running(status)) {
    std::this_thread::sleep_for(between_looks);
    status = look(directory, options);
    print_anew(text_of(directory, status));
  }
  return ExitCode::done;
}

}  // namespace eidolon
