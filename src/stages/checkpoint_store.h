// The checkpoints folder: what is written, and what is removed in turn.
#pragma once

#include "finetuning/checkpoint.h"
#include "stages/run_context.h"

namespace eidolon {

/// Writes the checkpoint of at.step and reads it back. Only if it verifies are older ones removed, but for step 0 and the
/// newest run.keep_checkpoints. On rank 0.
void save_checkpoint(const RunContext& context, const Student& student, const TrainingPosition& at, const TensorMap& optimizer);

}  // namespace eidolon
