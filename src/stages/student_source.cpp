#include "stages/student_source.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "cluster/broadcast_tensors.h"
#include "cluster/log.h"
#include "cluster/on_root.h"
#include "quantization/calibration.h"
#include "reporting/progress.h"
#include "stages/checkpoint_store.h"
#include "storage/atomic_file.h"
#include "storage/tensor_archive.h"

namespace eidolon {
namespace {

/// Nothing, and the reason in `why`, if the file at `path` is damaged or holds no whole student.
std::optional<Checkpoint> read_if_sound(const RunContext& context, const std::filesystem::path& path, std::string& why) {
  why = path.string() + " is damaged";
  if (verify_archive(path) != ArchiveState::sound) return std::nullopt;
  try {
    return read_checkpoint(path, checkpoint_owner(context), context.teacher.model.plan);
  } catch (const Fault& fault) {
    why = path.string() + " cannot be used (" + fault.what() + ")";
  }
  return std::nullopt;
}

/// The newest checkpoint that can be read, on rank 0 alone.
std::optional<Checkpoint> read_newest(const RunContext& context, Damaged damaged) {
  for (const int64_t step : checkpoint_steps(context.run)) {
    const std::filesystem::path path = context.run.checkpoint(step);
    std::string why;
    if (auto checkpoint = read_if_sound(context, path, why)) return checkpoint;
    if (damaged == Damaged::set_aside) why += ", and set aside as " + set_aside(path).string();
    log::warn(why + "; the checkpoint before it is used");
  }
  return std::nullopt;
}

/// Rank 0's checkpoint, or its absence, on every rank.
std::optional<Checkpoint> shared(const RunContext& context, const std::function<std::optional<Checkpoint>()>& read) {
  const Communicator& communicator = context.cluster.communicator;
  std::optional<Checkpoint> checkpoint;
  const std::string header = from_root(communicator, [&] {
    checkpoint = read();
    if (!checkpoint) return std::string();
    const TrainingPosition& at = checkpoint->position;
    return at.phase + " " + std::to_string(at.phase_step) + " " + std::to_string(at.step);
  });
  if (header.empty()) return std::nullopt;

  TensorMap student, optimizer;
  if (checkpoint) {
    student = student_tensors(checkpoint->student);
    optimizer = checkpoint->optimizer;
  }
  broadcast_tensors(student, communicator);
  broadcast_tensors(optimizer, communicator);
  const std::shared_ptr<const Plan>& plan = context.teacher.model.plan;
  Checkpoint received;
  received.student = student_from_tensors(student, scheme_of(context.job.quantization, *plan), plan);
  received.optimizer = std::move(optimizer);
  std::istringstream(header) >> received.position.phase >> received.position.phase_step >> received.position.step;
  return received;
}

Student calibrated_on(const RunContext& context, const SyntheticImages& images) {
  const Plan& plan = *context.teacher.model.plan;
  const QuantizationJob& job = context.job.quantization;
  Progress progress("calibrate", plan.section_count(), "sections", true);
  const Tensor input = normalise(context.teacher.preprocessing, images.bytes).to(context.device());
  return calibrate(context.teacher_on_device(), scheme_of(job, plan), input, calibration_settings(job),
                   [&] { progress.advance(1); })
      .to(at::kCPU);
}

}  // namespace

CheckpointOwner checkpoint_owner(const RunContext& context) {
  return {.student_id = student_id(context.job, context.identity),
          .facts = student_facts(context.job, context.identity),
          .images = synthesis_facts(context.job, context.identity),
          .teacher_hash = context.teacher.content_hash,
          .data_free = context.data_free};
}

std::optional<Checkpoint> newest_checkpoint(const RunContext& context, Damaged damaged) {
  return shared(context, [&] { return read_newest(context, damaged); });
}

Student finished_student(const RunContext& context) {
  auto newest = newest_checkpoint(context);
  if (newest && newest->position.phase == "finished") return std::move(newest->student);
  throw_once(context.cluster.communicator, BadInput("there is no finished student in " + context.run.root.string() +
                                                    "; run `eidolon finetune` with this job first"));
}

std::optional<Checkpoint> stored_calibrated(const RunContext& context) {
  return shared(context, [&] {
    std::string why;
    return read_if_sound(context, context.run.checkpoint(0), why);
  });
}

Checkpoint calibrated_checkpoint(const RunContext& context) {
  auto checkpoint = stored_calibrated(context);
  if (checkpoint) return std::move(*checkpoint);
  const BadInput missing(context.run.checkpoint(0).string() +
                         " is missing or damaged; run `eidolon finetune` again, which makes it anew");
  throw_once(context.cluster.communicator, missing);
}

void keep_manifest(const RunContext& context) {
  const Plan& plan = *context.teacher.model.plan;
  const std::string text = scheme_to_json(scheme_of(context.job.quantization, plan), plan);
  std::error_code ignored;
  const bool kept =
      std::filesystem::is_regular_file(context.run.manifest(), ignored) && read_text(context.run.manifest()) == text;
  if (!kept) write_text_atomically(context.run.manifest(), text);
}

Checkpoint calibrate_student(const RunContext& context, const ShardFiles& shards) {
  auto checkpoint = shared(context, [&]() -> std::optional<Checkpoint> {
    const int64_t count = std::min(context.job.quantization.calibration_images, context.job.synthesis.images);
    std::vector<int64_t> first(static_cast<size_t>(count));
    std::iota(first.begin(), first.end(), 0);
    const std::filesystem::path path = context.run.checkpoint(0);
    if (std::filesystem::exists(path)) {
      log::warn(path.string() + " is damaged, and set aside as " + set_aside(path).string() + "; it is made anew");
    }
    log::info("calibrate: ranges from " + std::to_string(count) + " synthetic images");
    Checkpoint calibrated{calibrated_on(context, read_images(shards, first)), {}, {}};
    write_checkpoint(path, calibrated, checkpoint_owner(context));
    return calibrated;
  });
  return std::move(*checkpoint);
}

}  // namespace eidolon
