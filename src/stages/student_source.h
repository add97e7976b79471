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

/// The newest checkpoint that verifies; a damaged one is passed over with a warning. Rank 0 reads, all receive. Collective.
std::optional<Checkpoint> newest_checkpoint(const RunContext& context);

/// step-00000000.h5, the student as calibrated. Collective; BadInput if it is not there.
Checkpoint calibrated_checkpoint(const RunContext& context);

/// Writes manifest.json, which follows from the job, unless it is there as it should be. On rank 0.
void keep_manifest(const RunContext& context);

/// Calibrates on the first calibration_images of the shards, on rank 0, writes step-00000000.h5 and gives the student to all.
/// Collective.
Checkpoint calibrate_student(const RunContext& context, const ShardFiles& shards);

}  // namespace eidolon
