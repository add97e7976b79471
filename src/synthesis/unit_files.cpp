#include "synthesis/unit_files.h"

#include "base/error.h"
#include "storage/tensor_archive.h"
#include "synthesis/enlargement.h"
#include "synthesis/start.h"

namespace eidolon {
namespace {

Tensor global_indices(const Unit& unit) {
  return at::arange(unit.first, unit.last() + 1, at::kLong);
}

/// Undefined if there is none.
Tensor tensor_of(const TensorArchive& archive, const std::string& name) {
  const auto found = archive.tensors.find(name);
  return found == archive.tensors.end() ? Tensor() : found->second;
}

bool are_images(const Tensor& tensor) {
  return tensor.defined() && tensor.scalar_type() == at::kFloat && tensor.dim() == 4;
}

bool fits(const Tensor& moment, const Tensor& pixels) {
  return moment.defined() && moment.scalar_type() == pixels.scalar_type() && moment.sizes() == pixels.sizes();
}

bool is_count(const Tensor& tensor) {
  return tensor.defined() && tensor.scalar_type() == at::kLong && tensor.numel() == 1 && tensor.item<int64_t>() >= 0;
}

}  // namespace

void write_unit_state(const std::filesystem::path& path, const UnitState& state, const ShardOwner& owner) {
  TensorArchive archive;
  archive.tensors = {{"pixels", state.pixels.cpu()},
                     {"exp_avg", state.moments.exp_avg.cpu()},
                     {"exp_avg_sq", state.moments.exp_avg_sq.cpu()},
                     {"step", at::scalar_tensor(state.moments.step, at::kLong)},
                     {"iteration", at::scalar_tensor(state.iteration, at::kLong)}};
  archive.attributes = {{"synthesis_id", owner.synthesis_id}, {"iteration", std::to_string(state.iteration)}};
  write_archive(path, "eidolon unit state", archive);
}

std::optional<UnitState> read_unit_state(const std::filesystem::path& path, const ShardOwner& owner, at::Device device) {
  if (verify_archive(path) != ArchiveState::sound) return std::nullopt;
  const TensorArchive archive = read_archive(path);
  const auto id = archive.attributes.find("synthesis_id");
  if (id == archive.attributes.end() || id->second != owner.synthesis_id) return std::nullopt;
  const Tensor pixels = tensor_of(archive, "pixels"), first = tensor_of(archive, "exp_avg"),
               second = tensor_of(archive, "exp_avg_sq"), step = tensor_of(archive, "step"),
               iteration = tensor_of(archive, "iteration");
  if (!are_images(pixels) || !fits(first, pixels) || !fits(second, pixels) || !is_count(step) || !is_count(iteration)) {
    return std::nullopt;
  }
  return UnitState{.pixels = pixels.to(device),
                   .moments = {first.to(device), second.to(device), step.item<int64_t>()},
                   .iteration = iteration.item<int64_t>()};
}

ImageShard finished_shard(const SynthesisTeacher& teacher, const Unit& unit, const UnitObjective& objective,
                          const UnitState& state) {
  at::NoGradGuard no_grad;
  ImageShard shard;
  shard.images = to_bytes(teacher.preprocessing, state.pixels).cpu();
  shard.global_index = global_indices(unit);
  shard.semantic_classes = objective.semantics.classes;
  shard.crop_boxes = objective.semantics.boxes;
  shard.class_logits = objective.semantics.class_logits;
  shard.soft_labels = objective.semantics.image_targets.cpu();
  const Tensor as_stored = normalise(teacher.preprocessing, shard.images.to(teacher.device()));
  const LossTable losses = loss_table(objective, look(teacher, objective, as_stored));
  shard.losses = losses.values;
  shard.loss_names = losses.names;
  return shard;
}

ImageShard start_shard(const SynthesisTeacher& teacher, const SynthesisJob& job, const Unit& unit) {
  ImageShard shard;
  shard.images = to_bytes(teacher.preprocessing, as_enlarged(job, unit, start_pixels(job, teacher.preprocessing, unit))).cpu();
  shard.global_index = global_indices(unit);
  return shard;
}

void stamp(ImageShard& shard, const SynthesisJob& job, const Unit& unit, const Preprocessing& preprocessing,
           const ShardOwner& owner) {
  shard.attributes = {{"synthesis_id", owner.synthesis_id},
                      {"identity", owner.facts},
                      {"preprocessing", to_json(preprocessing)},
                      {"layout", "NCHW"},
                      {"channels", preprocessing.channels() == 3 ? "RGB" : std::to_string(preprocessing.channels())},
                      {"method", is_optimised(job, unit) ? job.method : job.start},
                      {"data_free", "true"},
                      {"job", owner.job},
                      {"versions", owner.versions}};
}

}  // namespace eidolon
