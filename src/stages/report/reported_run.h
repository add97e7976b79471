// A run that is reported: what its files say, and its networks where they can be loaded.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "quantization/student.h"
#include "stages/run_context.h"
#include "stages/run_status.h"

namespace eidolon {

/// From the files of a run directory alone.
struct RecordedRun {
  RunDirectory run;
  RunStatus status;

  const Job& job() const { return status.job; }
  std::filesystem::path shard(const Unit& unit) const;  ///< in run.shards if that is set, else in the run directory
};

/// Images of shards, all of one kind of use.
struct ReportedImages {
  std::vector<int64_t> global;  ///< their indices
  Tensor bytes;                 ///< uint8 N x C x S x S
  std::string what;             ///< "16 held-out synthetic images"
};

struct ReportedStudent {
  std::string name;  ///< "calibrated" or "student"
  std::string phase;
  Student student;  ///< with weights that are not rounded yet, on the device
};

/// With the teacher loaded. What a stage has not made yet is not there.
struct MeasuredRun {
  const RecordedRun& recorded;
  const RunContext& context;
  std::optional<ReportedImages> images;   ///< held out or, where there are none, trained on
  std::vector<ReportedStudent> students;  ///< calibrated, then the newest checkpoint's
  int64_t labelled_limit = 0;             ///< labelled images that are looked at, at most

  const ReportedStudent* find(const std::string& name) const;
  std::string class_name(int64_t index) const;
};

/// BadInput if `directory` is no run directory.
RecordedRun recorded_run(const std::filesystem::path& directory);

/// Reads images and checkpoints. What is damaged or of another job is left out, and said in `warnings`.
MeasuredRun measured_run(const RecordedRun& recorded, const RunContext& context, int64_t labelled_limit,
                         std::vector<std::string>& warnings);

/// Units whose shards are on disk.
std::vector<Unit> units_on_disk(const RecordedRun& recorded, const std::vector<Unit>& units);

}  // namespace eidolon
