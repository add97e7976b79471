// The checkpoints folder: what is written, and what is removed in turn.
#pragma once

#include <filesystem>

#include "finetuning/checkpoint.h"
#include "stages/run_context.h"

namespace eidolon {

/// Gives a damaged checkpoint a name that nobody takes for one's: step-00001200.h5.damaged, or .damaged.2 and so on where that
/// exists. Returns the name. For the owner of the fine-tuning alone, on rank 0.
std::filesystem::path set_aside(const std::filesystem::path& checkpoint);

/// Writes the checkpoint of at.step and reads it back. If it verifies, older ones are removed, but for step 0 and so many that
/// run.keep_checkpoints stay, it included; otherwise it is set aside and the older ones stay. Checkpoints of higher steps are
/// left alone. On rank 0.
void save_checkpoint(const RunContext& context, const Student& student, const TrainingPosition& at, const TensorMap& optimizer);

}  // namespace eidolon
