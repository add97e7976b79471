#include <algorithm>
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>

#include "job/reader.h"
#include "stages/stages.h"
#include "storage/atomic_file.h"
#include "storage/tensor_archive.h"
#include "synthesis/unit.h"

namespace eidolon {
namespace {

void print_shards(const Job& job, const RunDirectory& run) {
  const std::vector<Unit> units = units_of(job.synthesis);
  std::vector<int64_t> missing;
  int64_t begun = 0;
  for (const Unit& unit : units) {
    std::filesystem::path path = run.shard(unit.first, unit.last());
    if (!job.run.shards.empty()) path = job.run.shards / path.filename();
    if (std::filesystem::exists(path)) continue;
    missing.push_back(unit.first);
    begun += std::filesystem::exists(run.unit_state(unit.first)) ? 1 : 0;
  }
  std::cout << "synthesis: " << units.size() - missing.size() << " of " << units.size() << " shards";
  if (!missing.empty()) std::cout << "; first missing unit " << missing[0] << ", " << begun << " begun";
  std::cout << "\n";
}

void print_checkpoints(const RunDirectory& run) {
  const std::vector<int64_t> steps = checkpoint_steps(run);
  if (steps.empty()) {
    std::cout << "fine-tuning: no checkpoint yet\n";
    return;
  }
  const std::filesystem::path newest = run.checkpoint(steps[0]);
  if (verify_archive(newest) != ArchiveState::sound) {
    std::cout << "fine-tuning: the newest checkpoint, " << newest.string() << ", is damaged; the one before will be used\n";
    return;
  }
  const auto attributes = read_attributes(newest, false);
  std::cout << "fine-tuning: step " << steps[0] << ", phase " << attributes.at("phase") << " (step "
            << attributes.at("phase_step") << " of it)\n";
}

void print_heartbeats(const RunDirectory& run) {
  using namespace std::chrono;
  const double now = duration<double>(system_clock::now().time_since_epoch()).count();
  for (int rank = 0; std::filesystem::exists(run.heartbeat(rank)); ++rank) {
    const auto beat = nlohmann::json::parse(read_text(run.heartbeat(rank)), nullptr, false);
    if (!beat.is_object()) continue;
    std::cout << "rank " << rank << ": " << beat.value("stage", "?") << " " << beat.value("detail", "") << ", heard of "
              << static_cast<int64_t>(now - beat.value("time", now)) << " s ago\n";
  }
}

}  // namespace

ExitCode status(const std::filesystem::path& directory) {
  const RunDirectory run{directory};
  if (!std::filesystem::exists(run.resolved_job())) {
    throw BadInput(directory.string() + " holds no job.resolved.toml; it is not a run directory, or its first start failed");
  }
  const Job job = read_resolved_job(run.resolved_job());
  std::cout << directory.string() << "\n";
  print_shards(job, run);
  print_checkpoints(run);
  print_heartbeats(run);
  return ExitCode::done;
}

}  // namespace eidolon
