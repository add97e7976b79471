#include "stages/report/reported_run.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <utility>

#include "evaluation/image_folder.h"
#include "stages/student_source.h"
#include "storage/image_shard.h"
#include "storage/tensor_archive.h"

namespace eidolon {
namespace {

constexpr int64_t most_images = 64;  ///< of one look at synthetic images: enough for a mean, seconds on a CPU

/// Of the shards of `units` that can be read, the first images. Undefined bytes: there are none.
ReportedImages images_of(const RecordedRun& recorded, const std::vector<Unit>& units, std::vector<std::string>& warnings) {
  ReportedImages images;
  std::vector<Tensor> bytes;
  for (const Unit& unit : units_on_disk(recorded, units)) {
    const int64_t room = most_images - static_cast<int64_t>(images.global.size());
    if (room <= 0) break;
    try {
      const ImageShard shard = read_shard(recorded.shard(unit));
      const int64_t count = std::min(room, shard.images.size(0));
      bytes.push_back(shard.images.narrow(0, 0, count));
      for (int64_t i = 0; i < count; ++i) images.global.push_back(unit.first + i);
    } catch (const Error& error) {
      warnings.emplace_back(error.what());
    }
  }
  if (!bytes.empty()) images.bytes = at::cat(bytes);
  return images;
}

std::optional<ReportedImages> reported_images(const RecordedRun& recorded, std::vector<std::string>& warnings) {
  const SynthesisJob& job = recorded.job().synthesis;
  ReportedImages images = images_of(recorded, held_out_units(job), warnings);
  const bool held_out = images.bytes.defined();
  if (!held_out) images = images_of(recorded, training_units(job), warnings);
  if (!images.bytes.defined()) return std::nullopt;
  images.what = std::to_string(images.global.size()) +
                (held_out ? " held-out synthetic images" : " synthetic images that the student was trained on");
  return images;
}

/// The checkpoint of a step, also if another version of the program would number its identity otherwise: what it holds is what
/// was made. Nothing, with a warning, if it is damaged or of another teacher.
std::optional<Checkpoint> checkpoint_at(const RunContext& context, int64_t step, std::vector<std::string>& warnings) {
  const std::filesystem::path path = context.run.checkpoint(step);
  if (!std::filesystem::exists(path)) return std::nullopt;
  try {
    const auto attributes = read_attributes(path);
    const auto text = [&](const char* name) { return attributes.contains(name) ? attributes.at(name) : std::string(); };
    if (text("teacher") != context.teacher.content_hash) {
      warnings.push_back(path.string() + " is a student of another teacher than " + context.job.teacher.weights.string() +
                         " holds now, and is left out");
      return std::nullopt;
    }
    CheckpointOwner owner = checkpoint_owner(context);
    if (text("student_id") != owner.student_id) {
      warnings.push_back(path.string() + " was made by another version of the program, or for another job than " +
                         context.run.resolved_job().string() + " states");
      owner.student_id = text("student_id");
    }
    return read_checkpoint(path, owner, context.teacher.model.plan);
  } catch (const Error& error) {
    warnings.emplace_back(error.what());
  }
  return std::nullopt;
}

}  // namespace

std::filesystem::path RecordedRun::shard(const Unit& unit) const {
  return shard_file(run, job(), unit.first, unit.last());
}

const ReportedStudent* MeasuredRun::find(const std::string& name) const {
  const auto found = std::ranges::find(students, name, &ReportedStudent::name);
  return found == students.end() ? nullptr : &*found;
}

std::string MeasuredRun::class_name(int64_t index) const {
  const std::vector<std::string>& names = context.teacher.class_names;
  const bool known = index >= 0 && index < static_cast<int64_t>(names.size());
  return known ? names[static_cast<size_t>(index)] : "class " + std::to_string(index);
}

RecordedRun recorded_run(const std::filesystem::path& directory) {
  return {.run = {directory}, .status = status_of(directory)};
}

MeasuredRun measured_run(const RecordedRun& recorded, const RunContext& context, int64_t labelled_limit,
                         std::vector<std::string>& warnings) {
  MeasuredRun measured{.recorded = recorded,
                       .context = context,
                       .images = reported_images(recorded, warnings),
                       .students = {},
                       .labelled_limit = labelled_limit};
  const auto add = [&](const char* name, const std::optional<Checkpoint>& checkpoint) {
    if (!checkpoint) return;
    measured.students.push_back(
        {.name = name, .phase = checkpoint->position.phase, .student = checkpoint->student.to(context.device())});
  };
  add("calibrated", checkpoint_at(context, 0, warnings));
  for (const int64_t step : checkpoint_steps(context.run)) {
    if (step == 0) break;
    const auto newest = checkpoint_at(context, step, warnings);
    add("student", newest);
    if (newest) break;
  }
  return measured;
}

std::vector<Unit> units_on_disk(const RecordedRun& recorded, const std::vector<Unit>& units) {
  std::vector<Unit> there;
  std::error_code unreadable;
  std::ranges::copy_if(units, std::back_inserter(there),
                       [&](const Unit& unit) { return std::filesystem::is_regular_file(recorded.shard(unit), unreadable); });
  return there;
}

}  // namespace eidolon
