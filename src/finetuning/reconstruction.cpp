#include "finetuning/reconstruction.h"

namespace eidolon {

Reconstruction::Reconstruction(const StrategyContext& context)
    : context_(context), training_(pairs_for(context.images)), held_out_(pairs_for(context.held_out)) {}

Reconstruction::Pairs Reconstruction::pairs_for(const SyntheticImages& images) const {
  const int64_t budget = context_.cache_bytes / 4;  // two prefixes of training images, two of held-out ones
  return {Prefix(context_.student.model, quantizing_tap(context_.student), images, context_.preprocessing, budget),
          Prefix(context_.teacher, {}, images, context_.preprocessing, budget)};
}

int Reconstruction::phases() const {
  return section_count(context_.teacher.architecture);
}

std::string Reconstruction::phase_name(int phase) const {
  return "reconstruct/" + section_name(context_.teacher.architecture, phase);
}

std::vector<Trainable> Reconstruction::begin(int phase) {
  section_ = phase;
  for (Pairs* pairs : {&training_, &held_out_}) {
    pairs->inputs.advance_to(section_);
    pairs->targets.advance_to(section_ + 1);
  }
  const Architecture& architecture = context_.teacher.architecture;
  std::vector<NodeId> activations;
  for (const NodeId node : nodes_of_section(architecture, section_)) {
    if (!is_weight(node.kind)) activations.push_back(node);
  }
  std::vector<Trainable> trainables = trainable_weights(context_.student, context_.calibrated,
                                                        weights_of_section(architecture, section_), context_.job.learning_rate);
  for (Trainable& scale :
       trainable_scales(context_.student, context_.calibrated, activations, context_.job.scale_learning_rate)) {
    trainables.push_back(std::move(scale));
  }
  return trainables;
}

Tensor Reconstruction::squared_error(const Student& student, const Pairs& pairs, const Tensor& rows) const {
  const Tensor output = forward_section(student.model, section_, pairs.inputs.rows(rows), quantizing_tap(student));
  const Tensor error = (output - pairs.targets.rows(rows)).square();
  return error.sum() / static_cast<double>(output.size(-1));
}

Tensor Reconstruction::loss(const std::vector<int64_t>& images) {
  return squared_error(context_.student, training_, context_.images.rows(images));
}

double Reconstruction::held_out_error(const Student& student) const {
  return held_out_loss(context_, [&](const std::vector<int64_t>& images) {
    return squared_error(student, held_out_, context_.held_out.rows(images)).item<double>();
  });
}

PhaseOutcome Reconstruction::conclude(std::vector<Trainable>& trainables) {
  return keep_if_better(held_out_error(context_.calibrated), held_out_error(context_.student), context_.calibrated, trainables);
}

}  // namespace eidolon
