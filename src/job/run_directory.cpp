#include "job/run_directory.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <functional>
#include <optional>
#include <string_view>
#include <system_error>
#include <type_traits>

#include "base/error.h"
#include "job/reader.h"
#include "job/schema.h"
#include "storage/atomic_file.h"

namespace eidolon {
namespace {

std::string padded(int64_t number, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%0*lld", digits, static_cast<long long>(number));
  return text;
}

void create_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    throw Fault("cannot create the folder " + folder.string() + ": " + error.message() +
                "; choose another place with --run-dir");
  }
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    throw Fault("cannot write into the folder " + folder.string() + ": " + std::strerror(errno) +
                "; choose another place with --run-dir");
  }
}

/// Whoever hands over a run directory must not choose where else the program writes.
void refuse_link(const std::filesystem::path& folder) {
  std::error_code error;
  if (!std::filesystem::is_symlink(folder, error)) return;
  throw BadInput(folder.string() + " is a link, and a run is written into its own directory alone; put a folder in its place" +
                 ", or name the folder of images with run.shards");
}

/// The step in "step-00001200.h5"; nothing for any other name.
std::optional<int64_t> step_of(const std::string& name) {
  constexpr std::string_view prefix = "step-";
  if (!name.starts_with(prefix)) {
    return {};
  }
  int64_t step = 0;
  const auto [end, error] = std::from_chars(name.data() + prefix.size(), name.data() + name.size(), step);
  const bool is_ours = error == std::errc{} && step >= 0 && name == "step-" + padded(step, 8) + ".h5";
  return is_ours ? std::optional(step) : std::nullopt;
}

template <class Field>
void take(const Job& from, const Key& wanted, Field& field) {
  visit_keys(from, [&](const Key& key, const auto& value) {
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, Field>) {
      if (key.section == wanted.section && key.name == wanted.name) {
        field = value;
      }
    }
  });
}

/// `job`, with each `auto` that `other` has a value for.
Job completed(Job job, const Job& other) {
  visit_keys(job, [&]<class Field>(const Key& key, Field& field) {
    if constexpr (can_be_auto<Field>) {
      if (!field) take(other, key, field);
    }
  });
  return job;
}

}  // namespace

std::filesystem::path RunDirectory::round(int64_t number) const {
  return root / "rounds" / padded(number, 2);
}

std::filesystem::path RunDirectory::log(const std::string& launch, int rank) const {
  return logs(launch) / ("rank-" + padded(rank, 4) + ".log");
}

std::filesystem::path RunDirectory::times(const std::string& launch, int rank) const {
  return logs(launch) / ("rank-" + padded(rank, 4) + ".times.jsonl");
}

std::filesystem::path RunDirectory::synthesis_metrics(const std::string& launch) const {
  return logs(launch) / "synthesis.jsonl";
}

std::filesystem::path RunDirectory::unit_state(int64_t first) const {
  return root / "units" / ("unit-" + padded(first, 8) + ".h5");
}

std::filesystem::path RunDirectory::shard(int64_t first, int64_t last) const {
  return root / "shards" / ("images-" + padded(first, 8) + "-" + padded(last, 8) + ".h5");
}

std::filesystem::path RunDirectory::checkpoint(int64_t step) const {
  return root / "checkpoints" / ("step-" + padded(step, 8) + ".h5");
}

std::filesystem::path shard_file(const RunDirectory& run, const Job& job, int64_t first, int64_t last) {
  const std::filesystem::path own = run.shard(first, last);
  return job.run.shards.empty() ? own : job.run.shards / own.filename();
}

RunDirectory open_run_directory(const std::filesystem::path& root, const std::string& launch) {
  const RunDirectory run{root};
  constexpr std::array folders{"log", "heartbeat", "units", "shards", "checkpoints"};
  for (const char* folder : folders) refuse_link(root / folder);
  for (const auto& folder : {run.logs(launch), run.heartbeats(launch)}) refuse_link(folder);
  create_folder(root);
  for (const char* folder : folders) create_folder(root / folder);
  create_folder(run.logs(launch));
  create_folder(run.heartbeats(launch));
  return run;
}

std::vector<int64_t> checkpoint_steps(const RunDirectory& run) {
  std::vector<int64_t> steps;
  std::error_code error;
  std::filesystem::directory_iterator entry(run.root / "checkpoints", error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    if (const auto step = step_of(entry->path().filename().string())) {
      steps.push_back(*step);
    }
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    throw Fault("cannot list " + (run.root / "checkpoints").string() + ": " + error.message());
  }
  std::ranges::sort(steps, std::greater());
  return steps;
}

Job with_resolved_autos(const Job& job, const RunDirectory& run) {
  std::error_code error;
  const bool exists = std::filesystem::exists(run.resolved_job(), error);
  if (error) {
    throw Fault("cannot look for " + run.resolved_job().string() + ": " + error.message());
  }
  if (!exists) {
    return job;
  }
  return completed(job, read_resolved_job(run.resolved_job()));
}

Job settle_job(const Job& job, const Job& given, const RunDirectory& run) {
  if (create_exclusively(run.resolved_job(), to_toml(job))) {
    return job;
  }
  // It was there before, and `job` has its values already; or another launch made it since.
  const Job settled = completed(with_resolved_autos(given, run), job);
  const Job recorded = completed(read_resolved_job(run.resolved_job()), settled);
  Job record = settled;
  visit_keys(record, [&]<class Field>(const Key& key, Field& field) {
    if constexpr (can_be_auto<Field>) take(recorded, key, field);
  });
  if (read_text(run.resolved_job()) != to_toml(record)) {
    write_text_atomically(run.resolved_job(), to_toml(record));
  }
  return settled;
}

}  // namespace eidolon
