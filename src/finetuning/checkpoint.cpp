#include "finetuning/checkpoint.h"

#include <charconv>
#include <cstdint>
#include <memory>
#include <system_error>

#include "base/error.h"
#include "job/identity.h"
#include "storage/tensor_archive.h"

namespace eidolon {
namespace {

/// The first tensor that would make the checkpoint useless.
std::optional<std::string> useless_tensor(const Checkpoint& checkpoint) {
  if (auto name = unsound_tensor(checkpoint.student)) return name;
  for (const auto& [name, tensor] : checkpoint.optimizer) {
    if (tensor.isnan().any().item<bool>()) return "optimizer/" + name;
  }
  return std::nullopt;
}

void require_useful(const Checkpoint& checkpoint) {
  const std::optional<std::string> name = useless_tensor(checkpoint);
  if (!name) return;
  const TrainingPosition& at = checkpoint.position;
  const bool trained = at.phase != "calibrated";
  throw Fault(at.phase + ", step " + std::to_string(at.step) + ": '" + *name +
              "' is not finite, or a scale that is not positive; no checkpoint was written, earlier ones stay; " +
              (trained ? "lower the learning rates of [finetuning]" : "are the teacher's weights sound?"));
}

const std::string& attribute_of(const std::filesystem::path& path, const std::map<std::string, std::string>& attributes,
                                const std::string& name) {
  const auto found = attributes.find(name);
  if (found == attributes.end())
    throw Fault(path.string() + " lacks the attribute '" + name + "'; it is no checkpoint, so remove it");
  return found->second;
}

/// A count of steps, as write_checkpoint() states it.
int64_t count_of(const std::filesystem::path& path, const std::map<std::string, std::string>& attributes,
                 const std::string& name) {
  const std::string& text = attribute_of(path, attributes, name);
  int64_t count = -1;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (problem == std::errc() && end == text.data() + text.size() && count >= 0) return count;
  throw Fault(path.string() + " states a " + name + " that is no count; remove it and run again");
}

}  // namespace

void write_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint, const CheckpointOwner& owner) {
  require_useful(checkpoint);
  TensorArchive archive;
  for (const auto& [name, tensor] : student_tensors(checkpoint.student)) archive.tensors[name] = tensor.detach().cpu();
  for (const auto& [name, tensor] : checkpoint.optimizer) archive.tensors["optimizer/" + name] = tensor.detach().cpu();
  Scheme scheme;
  for (const auto& [node, quantizer] : checkpoint.student.quantizers) scheme[node] = quantizer.spec;
  archive.attributes = {{"phase", checkpoint.position.phase},
                        {"phase_step", std::to_string(checkpoint.position.phase_step)},
                        {"step", std::to_string(checkpoint.position.step)},
                        {"scheme", scheme_to_json(scheme, *checkpoint.student.model.plan)},
                        {"student_id", owner.student_id},
                        {"identity", owner.facts},
                        {"images", owner.images},
                        {"teacher", owner.teacher_hash},
                        {"data_free", owner.data_free ? "true" : "false"}};
  write_archive(path, "eidolon student checkpoint", archive);
}

void require_own_checkpoint(const std::filesystem::path& path, const std::map<std::string, std::string>& attributes,
                            const CheckpointOwner& owner) {
  if (attribute_of(path, attributes, "student_id") == owner.student_id) return;
  std::string difference = first_difference(owner.facts, attribute_of(path, attributes, "identity"));
  if (attributes.contains("images")) {
    const std::string of_images = first_difference(owner.images, attributes.at("images"));
    if (of_images.starts_with("format_version ")) difference = of_images;
    if (difference.starts_with("synthesis_id ")) difference = "its images were made otherwise, " + of_images;
  }
  throw BadInput(path.string() + " belongs to another student: " + difference +
                 "; give this job its own --run-dir (images can be shared: run.shards), or remove the checkpoints");
}

Checkpoint read_checkpoint(const std::filesystem::path& path, const CheckpointOwner& owner,
                           const std::shared_ptr<const Plan>& plan) {
  const TensorArchive archive = read_archive(path);
  require_own_checkpoint(path, archive.attributes, owner);
  const auto attribute = [&](const std::string& name) { return attribute_of(path, archive.attributes, name); };
  Checkpoint checkpoint;
  try {
    checkpoint.student = student_from_tensors(archive.tensors, scheme_from_json(attribute("scheme"), *plan), plan);
  } catch (const Fault& fault) {
    throw Fault(path.string() + ": " + fault.what());
  }
  checkpoint.position = {attribute("phase"), count_of(path, archive.attributes, "phase_step"),
                         count_of(path, archive.attributes, "step")};
  const std::string folder = "optimizer/";
  for (const auto& [name, tensor] : archive.tensors) {
    if (name.starts_with(folder)) checkpoint.optimizer[name.substr(folder.size())] = tensor;
  }
  return checkpoint;
}

TensorMap optimizer_tensors(const std::vector<Trainable>& trainables) {
  TensorMap tensors;
  for (const Trainable& entry : trainables) {
    tensors[entry.name + "/exp_avg"] = entry.moments.exp_avg;
    tensors[entry.name + "/exp_avg_sq"] = entry.moments.exp_avg_sq;
    tensors[entry.name + "/step"] = at::scalar_tensor(entry.moments.step, at::kLong);
    if (entry.transient) tensors[entry.name + "/value"] = entry.parameter.detach();
  }
  return tensors;
}

void restore_optimizer(const TensorMap& tensors, std::vector<Trainable>& trainables) {
  const auto entry_of = [&](const std::string& name) -> const Tensor& {
    const auto found = tensors.find(name);
    if (found == tensors.end()) throw Fault("the checkpoint lacks the optimizer state '" + name + "'; remove it and run again");
    return found->second;
  };
  const at::NoGradGuard no_gradients;
  for (Trainable& entry : trainables) {
    const Tensor& first = entry_of(entry.name + "/exp_avg");
    const Tensor& second = entry_of(entry.name + "/exp_avg_sq");
    const at::IntArrayRef shape = entry.parameter.sizes();
    const bool fits = first.sizes() == shape && second.sizes() == shape &&
                      (!entry.transient || entry_of(entry.name + "/value").sizes() == shape);
    if (!fits) {
      throw Fault("the checkpoint's optimizer state of '" + entry.name + "' has another shape; remove it and run again");
    }
    const Tensor& step = entry_of(entry.name + "/step");
    if (step.numel() != 1 || step.scalar_type() != at::kLong || step.item<int64_t>() < 0) {
      throw Fault("the checkpoint's optimizer state of '" + entry.name + "' has no count of steps; remove it and run again");
    }
    const at::Device device = entry.parameter.device();
    entry.moments = {first.to(device).clone(), second.to(device).clone(), step.item<int64_t>()};
    if (entry.transient) entry.parameter.copy_(entry_of(entry.name + "/value"));
  }
}

}  // namespace eidolon
