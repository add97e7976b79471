#include "finetuning/reconstruction.h"

#include <string>
#include <utility>
#include <vector>

#include "model/token_units.h"
#include "numerics/schedule.h"

namespace eidolon {
namespace {

void append(std::vector<Trainable>& all, std::vector<Trainable> further) {
  for (Trainable& entry : further) all.push_back(std::move(entry));
}

}  // namespace

Reconstruction::Reconstruction(const StrategyContext& context)
    : context_(context), training_(pairs_for(context.images)), held_out_(pairs_for(context.held_out)) {
  if (context.job.input_mix > 0) exact_inputs_.emplace(context.teacher, Tap{}, context.images, context.preprocessing, budget());
}

int64_t Reconstruction::budget() const {
  // Two prefixes of training images, two of held-out ones, and one more where inputs are mixed.
  return context_.cache_bytes / (context_.job.input_mix > 0 ? 5 : 4);
}

Reconstruction::Pairs Reconstruction::pairs_for(const SyntheticImages& images) const {
  return {Prefix(context_.student.model, quantizing_tap(context_.student), images, context_.preprocessing, budget()),
          Prefix(context_.teacher, {}, images, context_.preprocessing, budget())};
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
  if (exact_inputs_) exact_inputs_->advance_to(section_);
  importance_ = measure_importance(context_, section_, training_.inputs, training_.targets);
  return trainables();
}

std::vector<Trainable> Reconstruction::trainables() {
  const FinetuningJob& job = context_.job;
  Student& student = context_.student;
  const Student& calibrated = context_.calibrated;
  const Architecture& architecture = context_.teacher.architecture;
  const std::vector<NodeId> weights = weights_of_section(architecture, section_);
  std::vector<NodeId> activations;
  for (const NodeId node : nodes_of_section(architecture, section_)) {
    if (!is_weight(node.kind)) activations.push_back(node);
  }
  const double rate = job.learning_rate * falling_to_the_middle(section_, phases(), job.early_rate);
  std::vector<Trainable> all;
  if (job.rounding == "adaround") {
    roundings_ = learned_roundings(calibrated, weights);
    append(all, trainable_roundings(roundings_, job.rounding_learning_rate));
    append(all, trainable_biases(student, calibrated, weights, rate));
  } else {
    append(all, trainable_weights(student, calibrated, weights, rate));
  }
  append(all, trainable_scales(student, calibrated, activations, job.scale_learning_rate));
  append(all, trainable_scales(student, calibrated, weights, job.weight_scale_learning_rate));
  return all;
}

StepImages Reconstruction::draws(const std::vector<int64_t>& images, int64_t step) const {
  return {context_.job.seed, images, section_ * context_.job.iterations + step};
}

Tensor Reconstruction::training_input(const Tensor& rows, const StepImages& at) const {
  const Tensor quantized = training_.inputs.rows(rows);
  if (!exact_inputs_ || section_ == 0) return quantized;  // the image is nobody's output
  return mixed_input(quantized, exact_inputs_->rows(rows), at, context_.job.input_mix);
}

Tap Reconstruction::training_tap() const {
  return roundings_.empty() ? quantizing_tap(context_.student) : soft_weight_tap(context_.student, roundings_);
}

Tensor Reconstruction::error_of(const Tensor& output, const Tensor& target) const {
  return context_.job.token_units ? in_token_units(output - target, target) : output - target;
}

Tensor Reconstruction::loss(const std::vector<int64_t>& images, int64_t step) {
  const FinetuningJob& job = context_.job;
  const Tensor rows = context_.images.rows(images);
  const StepImages at = draws(images, step);
  const Tensor output = forward_section(context_.student.model, section_, training_input(rows, at), training_tap());
  Tensor loss =
      weighted_square(importance_, error_of(output, training_.targets.rows(rows))) / static_cast<double>(output.size(-1));
  const std::optional<double> beta = penalty_exponent(step, job.iterations);
  for (const LearnedRounding& rounding : roundings_) {
    // Once per image, since train_step() divides by their number over all ranks.
    if (beta)
      loss = loss + job.rounding_weight * static_cast<double>(images.size()) * rounding_penalty(rounding.variable, *beta);
  }
  return loss;
}

std::optional<double> Reconstruction::held_out_error(const Student& student, const std::string& which) const {
  return held_out_loss(context_, phase_name(section_) + ", " + which, [&](const std::vector<int64_t>& images) {
    const Tensor rows = context_.held_out.rows(images);
    const Tensor output = forward_section(student.model, section_, held_out_.inputs.rows(rows), quantizing_tap(student));
    const Tensor error = error_of(output, held_out_.targets.rows(rows)).square().sum();
    return error.item<double>() / static_cast<double>(output.size(-1));
  });
}

PhaseOutcome Reconstruction::conclude(std::vector<Trainable>& trainables) {
  TensorMap trained = student_tensors_of(trainables);
  for (const LearnedRounding& rounding : roundings_) {
    const std::string name = parameter_of(rounding.weight);
    Tensor& weight = context_.student.model.parameters.at(name);
    weight.copy_(hard_weight(rounding, context_.student.quantizers.at(rounding.weight)));
    trained["student/" + name] = weight;
  }
  const PhaseOutcome outcome =
      keep_if_better(held_out_error(context_.calibrated, "as calibrated"),
                     held_out_error(context_.student, "after its last step"), context_.calibrated, std::move(trained));
  if (section_ + 1 == phases()) forget_caches();
  return outcome;
}

int64_t Reconstruction::cached_bytes() const {
  int64_t bytes = exact_inputs_ ? exact_inputs_->kept_bytes() : 0;
  for (const Pairs* pairs : {&training_, &held_out_}) bytes += pairs->inputs.kept_bytes() + pairs->targets.kept_bytes();
  return bytes;
}

void Reconstruction::forget_caches() {
  for (Pairs* pairs : {&training_, &held_out_}) {
    pairs->inputs.forget();
    pairs->targets.forget();
  }
  if (exact_inputs_) exact_inputs_->forget();
}

}  // namespace eidolon
