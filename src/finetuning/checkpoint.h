// A checkpoint: the student, where its fine-tuning stands, and the optimizer of the current phase. Global state only, so that a
// run may resume on another number of ranks.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
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
  std::string facts;   ///< the canonical JSON behind it
  std::string images;  ///< the canonical JSON of what decided the images, so that a student outlives its shards
  std::string teacher_hash;
  bool data_free = true;  ///< no real image had a part in it
};

struct Checkpoint {
  Student student;
  TrainingPosition position;
  TensorMap optimizer;  ///< "<trainable>/exp_avg", "/exp_avg_sq", "/step", of a transient one "/value"; empty between phases
};

/// Fault, naming the first tensor that could not be read back (unsound_tensor() of quantization/student.h) or from which
/// nothing can go on, if there is one. Nothing is written then.
void write_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint, const CheckpointOwner& owner);

/// BadInput if the attributes of the checkpoint at `path` are another student's, naming the first differing key.
void require_own_checkpoint(const std::filesystem::path& path, const std::map<std::string, std::string>& attributes,
                            const CheckpointOwner& owner);

/// BadInput as above.
Checkpoint read_checkpoint(const std::filesystem::path& path, const CheckpointOwner& owner,
                           const std::shared_ptr<const Plan>& plan);

TensorMap optimizer_tensors(const std::vector<Trainable>& trainables);
/// Fault if an entry is missing or misshapen.
void restore_optimizer(const TensorMap& tensors, std::vector<Trainable>& trainables);

}  // namespace eidolon
