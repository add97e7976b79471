// A checkpoint: the student, where its fine-tuning stands, and the optimizer of the current phase. Global state only, so that a
// run may resume on another number of ranks.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "finetuning/trainable.h"
#include "quantization/student.h"

namespace eidolon {

struct TrainingPosition {
  std::string phase = "calibrated";  ///< the phase being trained; "calibrated" before the first, "finished" after the last
  int64_t phase_step = 0;            ///< steps of this phase that are done
  int64_t step = 0;                  ///< of all phases
};

/// Who a checkpoint belongs to.
struct CheckpointOwner {
  std::string student_id;
  std::string facts;  ///< the canonical JSON behind it
  std::string teacher_hash;
  bool data_free = true;  ///< no real image had a part in it
};

struct Checkpoint {
  Student student;
  TrainingPosition position;
  TensorMap optimizer;  ///< "<trainable>/exp_avg", "/exp_avg_sq", "/step", of a transient one "/value"; empty between phases
};

void write_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint, const CheckpointOwner& owner);

/// BadInput if the checkpoint is another student's, naming the first differing key.
Checkpoint read_checkpoint(const std::filesystem::path& path, const CheckpointOwner& owner, const Architecture& architecture);

TensorMap optimizer_tensors(const std::vector<Trainable>& trainables);
/// Fault if an entry is missing or misshapen.
void restore_optimizer(const TensorMap& tensors, std::vector<Trainable>& trainables);

}  // namespace eidolon
