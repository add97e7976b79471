// Students of a run: calibrated anew, or read from its checkpoints.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "finetuning/checkpoint.h"
#include "finetuning/synthetic_images.h"
#include "stages/run_context.h"

namespace eidolon {

CheckpointOwner checkpoint_owner(const RunContext& context);

/// What becomes of a damaged checkpoint that is passed over, beside a warning.
enum class Damaged {
  stays,      ///< for readers
  set_aside,  ///< for the owner of the fine-tuning (stages/checkpoint_store.h)
};

/// The newest checkpoint that can be read; damaged ones are passed over. Rank 0 reads, all receive. Collective.
std::optional<Checkpoint> newest_checkpoint(const RunContext& context, Damaged damaged = Damaged::stays);

/// The student of the newest checkpoint; BadInput if its fine-tuning is not finished. Collective.
Student finished_student(const RunContext& context);

/// step-00000000.h5, the student as calibrated; nothing if it is missing or damaged. Collective.
std::optional<Checkpoint> stored_calibrated(const RunContext& context);

/// The same; BadInput if it is missing or damaged. Collective.
Checkpoint calibrated_checkpoint(const RunContext& context);

/// Writes manifest.json, which follows from the job, unless it is there as it should be. On rank 0.
void keep_manifest(const RunContext& context);

/// Calibrates on the first calibration_images of the shards, on rank 0, writes step-00000000.h5 and gives the student to all. A
/// damaged step-00000000.h5 is set aside. Only for the owner of the fine-tuning. Collective.
Checkpoint calibrate_student(const RunContext& context, const ShardFiles& shards);

}  // namespace eidolon
