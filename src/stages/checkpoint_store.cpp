#include "stages/checkpoint_store.h"

#include "cluster/log.h"
#include "stages/student_source.h"
#include "storage/tensor_archive.h"

namespace eidolon {
namespace {

void remove_older(const RunContext& context) {
  const std::vector<int64_t> steps = checkpoint_steps(context.run);
  for (size_t i = static_cast<size_t>(context.job.run.keep_checkpoints); i < steps.size(); ++i) {
    if (steps[i] != 0) std::filesystem::remove(context.run.checkpoint(steps[i]));
  }
}

}  // namespace

void save_checkpoint(const RunContext& context, const Student& student, const TrainingPosition& at,
                     const TensorMap& optimizer) {
  const std::filesystem::path path = context.run.checkpoint(at.step);
  write_checkpoint(path, {student, at, optimizer}, checkpoint_owner(context));
  if (verify_archive(path) == ArchiveState::sound) return remove_older(context);
  log::warn(path.string() + " does not read back as it was written; the older checkpoints are kept. Check the disk");
}

}  // namespace eidolon
