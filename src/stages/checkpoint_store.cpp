#include "stages/checkpoint_store.h"

#include <string>
#include <system_error>

#include "base/error.h"
#include "cluster/log.h"
#include "stages/student_source.h"
#include "storage/tensor_archive.h"

namespace eidolon {
namespace {

/// By their steps and not by their number: what lies above `newest` was not written by this launch and may be damaged.
void remove_older_than(const RunDirectory& run, int64_t keep, int64_t newest) {
  int64_t kept = 1;
  for (const int64_t step : checkpoint_steps(run)) {
    if (step >= newest || step == 0) continue;
    if (++kept > keep) std::filesystem::remove(run.checkpoint(step));
  }
}

}  // namespace

std::filesystem::path set_aside(const std::filesystem::path& checkpoint) {
  std::filesystem::path aside = checkpoint.string() + ".damaged";
  for (int copy = 2; std::filesystem::exists(aside); ++copy) {
    aside = checkpoint.string() + ".damaged." + std::to_string(copy);
  }
  std::error_code error;
  std::filesystem::rename(checkpoint, aside, error);
  if (!error) return aside;
  throw Fault("cannot rename the damaged " + checkpoint.string() + " to " + aside.string() + ": " + error.message());
}

void save_checkpoint(const RunContext& context, const Student& student, const TrainingPosition& at,
                     const TensorMap& optimizer) {
  const std::filesystem::path path = context.run.checkpoint(at.step);
  write_checkpoint(path, {student, at, optimizer}, checkpoint_owner(context));
  if (verify_archive(path) == ArchiveState::sound) {
    return remove_older_than(context.run, context.job.run.keep_checkpoints, at.step);
  }
  log::warn(path.string() + " does not read back as it was written; it is set aside as " + set_aside(path).string() +
            ", and the older checkpoints are kept. Check the disk");
}

}  // namespace eidolon
