#include "finetuning/distillation.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "job/mixture.h"
#include "model/token_units.h"

namespace eidolon {
namespace {

constexpr int64_t checks = 10;

/// Per image, in nats.
Tensor divergence(const Tensor& teacher_logits, const Tensor& student_logits) {
  const Tensor teacher = teacher_logits.log_softmax(-1), student = student_logits.log_softmax(-1);
  return (teacher.exp() * (teacher - student)).sum(-1);
}

/// The outputs of all sections but the embedding: blocks, then logits.
std::vector<Tensor> outputs_of(const VisionTransformer& model, const Tensor& images, const Tap& tap) {
  std::vector<Tensor> outputs;
  Tensor x = forward_section(model, 0, images, tap);
  for (int section = 1; section < section_count(model.architecture); ++section) {
    x = forward_section(model, section, x, tap);
    outputs.push_back(x);
  }
  return outputs;
}

/// Per image, the mean over blocks, tokens and channels, in units of each token's deviation.
Tensor relative_error(const std::vector<Tensor>& teacher, const std::vector<Tensor>& student) {
  const size_t blocks = teacher.size() - 1;
  Tensor sum = at::zeros({teacher[0].size(0)}, teacher[0].options());
  for (size_t block = 0; block < blocks; ++block) {
    sum = sum + in_token_units(student[block] - teacher[block], teacher[block]).square().mean({1, 2});
  }
  return sum / static_cast<double>(blocks);
}

std::vector<NodeId> weights_among(const std::vector<NodeId>& nodes) {
  std::vector<NodeId> weights;
  for (const NodeId node : nodes) {
    if (is_weight(node.kind)) weights.push_back(node);
  }
  return weights;
}

}  // namespace

Distillation::Distillation(const StrategyContext& context, const DistillationPlan& plan)
    : context_(context),
      plan_(plan),
      stream_{context.images, context.preprocessing, mixture_cycle(context.job.distill_images), context.job.seed},
      held_out_logits_(context.teacher, {}, context.held_out, context.preprocessing, context.cache_bytes) {}

std::vector<Trainable> Distillation::begin(int) {
  const Architecture& architecture = context_.teacher.architecture;
  held_out_logits_.advance_to(section_count(architecture));
  const FinetuningJob& job = context_.job;
  const std::vector<NodeId> nodes = all_nodes(static_cast<int>(architecture.depth)), weights = weights_among(nodes);
  std::vector<Trainable> trainables = trainable_weights(context_.student, context_.calibrated, weights, plan_.learning_rate);
  for (const NodeId node : nodes) {
    const double rate = is_weight(node.kind) ? job.weight_scale_learning_rate : job.scale_learning_rate;
    for (Trainable& scale : trainable_scales(context_.student, context_.calibrated, {node}, rate))
      trainables.push_back(std::move(scale));
  }
  trained_ = student_tensors_of(trainables);
  before_ = held_out_divergence(0);
  if (before_) best_.offer(*before_, trained_);
  return trainables;
}

Tensor Distillation::loss(const std::vector<int64_t>& images, int64_t step) {
  const Tensor input = images_of_step(stream_, images, step).to(context_.student.model["cls_token"].device());
  std::vector<Tensor> teacher;
  {
    const at::NoGradGuard no_grad;
    teacher = outputs_of(context_.teacher, input, {});
  }
  const std::vector<Tensor> student = outputs_of(context_.student.model, input, quantizing_tap(context_.student));
  const Tensor features = context_.job.distill_feature_weight * relative_error(teacher, student);
  return (divergence(teacher.back(), student.back()) + features).sum();
}

void Distillation::after_step(int64_t step) {
  const int64_t done = step + 1;
  const bool due = done * checks / plan_.iterations != step * checks / plan_.iterations;
  if (!due || !before_) return;
  best_.offer(*held_out_divergence(done), trained_);
}

/// After so many steps.
std::optional<double> Distillation::held_out_divergence(int64_t steps) const {
  return held_out_loss(context_, "distill, step " + std::to_string(steps), [&](const std::vector<int64_t>& images) {
    const Tensor rows = context_.held_out.rows(images);
    const Tensor bytes = context_.held_out.bytes.index_select(0, rows).to(context_.student.model["cls_token"].device());
    const Tensor logits =
        forward(context_.student.model, normalise(context_.preprocessing, bytes), quantizing_tap(context_.student));
    return divergence(held_out_logits_.rows(rows), logits).sum().item<double>();
  });
}

PhaseOutcome Distillation::conclude(std::vector<Trainable>&) {
  if (!before_) return {};
  const PhaseOutcome outcome{before_, best_.loss(), *best_.loss() < *before_};
  const at::NoGradGuard no_grad;
  for (auto& [name, tensor] : trained_) tensor.copy_(best_.tensors().at(name));
  return outcome;
}

TensorMap Distillation::state() const {
  if (!before_) return {};
  TensorMap state = best_.state();
  state["before"] = at::scalar_tensor(*before_, at::kDouble);
  return state;
}

void Distillation::restore(const TensorMap& state) {
  if (!before_) return;
  best_.restore(state);
  before_ = state.at("before").item<double>();
}

}  // namespace eidolon
