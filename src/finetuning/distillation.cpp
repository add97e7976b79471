#include "finetuning/distillation.h"

namespace eidolon {

Distillation::Distillation(const StrategyContext& context)
    : context_(context),
      targets_(context.teacher, {}, context.images, context.preprocessing, context.cache_bytes),
      held_out_targets_(context.teacher, {}, context.held_out, context.preprocessing, context.cache_bytes) {}

std::vector<Trainable> Distillation::begin(int) {
  const Architecture& architecture = context_.teacher.architecture;
  const int logits = section_count(architecture);
  targets_.advance_to(logits);
  held_out_targets_.advance_to(logits);

  std::vector<NodeId> weights;
  for (const NodeId node : all_nodes(static_cast<int>(architecture.depth))) {
    if (is_weight(node.kind)) weights.push_back(node);
  }
  std::vector<Trainable> trainables =
      trainable_weights(context_.student, context_.calibrated, weights, context_.job.learning_rate);
  const std::vector<NodeId> nodes = all_nodes(static_cast<int>(architecture.depth));
  for (Trainable& scale : trainable_scales(context_.student, context_.calibrated, nodes, context_.job.scale_learning_rate)) {
    trainables.push_back(std::move(scale));
  }
  return trainables;
}

Tensor Distillation::divergence(const Student& student, const SyntheticImages& images, const Prefix& targets,
                                const Tensor& rows) const {
  const at::Device device = student.model["cls_token"].device();
  const Tensor input = normalise(context_.preprocessing, images.bytes.index_select(0, rows).to(device));
  const Tensor student_log = forward(student.model, input, quantizing_tap(student)).log_softmax(-1);
  const Tensor teacher_log = targets.rows(rows).log_softmax(-1);
  return (teacher_log.exp() * (teacher_log - student_log)).sum();
}

Tensor Distillation::loss(const std::vector<int64_t>& images, int64_t) {
  return divergence(context_.student, context_.images, targets_, context_.images.rows(images));
}

double Distillation::held_out_divergence(const Student& student) const {
  return held_out_loss(context_, [&](const std::vector<int64_t>& images) {
    const Tensor rows = context_.held_out.rows(images);
    return divergence(student, context_.held_out, held_out_targets_, rows).item<double>();
  });
}

PhaseOutcome Distillation::conclude(std::vector<Trainable>& trainables) {
  const double calibrated = held_out_divergence(context_.calibrated), trained = held_out_divergence(context_.student);
  return keep_if_better(calibrated, trained, context_.calibrated, student_tensors_of(trainables));
}

}  // namespace eidolon
