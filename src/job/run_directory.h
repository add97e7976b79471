// The run directory: where everything a run writes lies: data_out/<job name> under the working directory, or --run-dir.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "job/job.h"

namespace eidolon {

/// Paths only; creating folders is open_run_directory()'s work.
struct RunDirectory {
  std::filesystem::path root;

  std::filesystem::path resolved_job() const { return root / "job.resolved.toml"; }
  std::filesystem::path environment() const { return root / "environment.json"; }
  std::filesystem::path metrics() const { return root / "metrics.jsonl"; }
  std::filesystem::path manifest() const { return root / "manifest.json"; }
  std::filesystem::path evaluation() const { return root / "evaluation.json"; }  ///< what `run` measured at its end
  std::filesystem::path round(int64_t number) const;  ///< rounds/00: a run directory of its own (stages/rounds.h)
  std::filesystem::path exported(const std::string& target) const { return root / "export" / target; }
  std::filesystem::path heartbeats() const { return root / "heartbeat"; }
  std::filesystem::path finetuning_owner() const { return root / "finetuning.owner.json"; }

  // Several launches may work in one run directory, so each has its folders of logs and heartbeats.
  std::filesystem::path logs(const std::string& launch) const { return root / "log" / launch; }
  std::filesystem::path log(const std::string& launch, int rank) const;      ///< log/<launch>/rank-0003.log
  std::filesystem::path synthesis_metrics(const std::string& launch) const;  ///< log/<launch>/synthesis.jsonl
  std::filesystem::path times(const std::string& launch, int rank) const;    ///< log/<launch>/rank-0003.times.jsonl
  std::filesystem::path heartbeats(const std::string& launch) const { return heartbeats() / launch; }

  std::filesystem::path unit_state(int64_t first) const;  ///< units/unit-00000016.h5
  std::filesystem::path generator_state() const { return root / "units" / "generator.h5"; }
  std::filesystem::path shard(int64_t first, int64_t last) const;  ///< shards/images-00000016-00000031.h5 (last inclusive)
  std::filesystem::path checkpoint(int64_t step) const;            ///< checkpoints/step-00001200.h5
};

/// Of the images `first` to `last`: in run.shards if the job sets that, else in the run directory.
std::filesystem::path shard_file(const RunDirectory& run, const Job& job, int64_t first, int64_t last);

/// Creates the folders, also those of `launch`. Throws Fault naming the path and the cause (read-only, disk full, a file in the
/// way).
RunDirectory open_run_directory(const std::filesystem::path& root, const std::string& launch);

/// Steps of the checkpoints whose finished names exist, newest first. Names are not proof: verify each.
std::vector<int64_t> checkpoint_steps(const RunDirectory& run);

/// Fills each `auto` of `job` from the run's job.resolved.toml if that exists (so that a resumed run keeps what the first
/// start decided). Keys that are not `auto` in `job` are left alone.
Job with_resolved_autos(const Job& job, const RunDirectory& run);

/// Makes `job` the run's job: writes job.resolved.toml, atomically. What the first start decided for an `auto` stays recorded,
/// also where `job` states another value: that one holds for this start alone. Of several launches that start at once, one
/// decides; the job that holds is returned. `given` is the job before its `auto` values were resolved.
Job settle_job(const Job& job, const Job& given, const RunDirectory& run);

}  // namespace eidolon
