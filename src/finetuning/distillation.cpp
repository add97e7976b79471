#include "finetuning/distillation.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "finetuning/best_so_far.h"
#include "finetuning/image_stream.h"
#include "finetuning/prefix.h"
#include "job/mixture.h"
#include "model/readout.h"
#include "model/token_units.h"
#include "numerics/transfer.h"

namespace eidolon {
namespace {

constexpr int64_t checks = 10;

/// Per image, the mean over the sections between the first and the head, tokens and channels, in token units.
Tensor relative_error(const Plan& plan, const std::vector<Tensor>& teacher, const std::vector<Tensor>& student) {
  Tensor sum = at::zeros({teacher[0].size(0)}, teacher[0].options());
  int64_t counted = 0;
  for (size_t section = 1; section < teacher.size(); ++section) {
    const Layout layout = plan.sections[section].output;
    if (layout == Layout::vector) continue;
    const Tensor error = in_token_units(student[section] - teacher[section], teacher[section], layout);
    sum = sum + error.square().flatten(1).mean(1);
    ++counted;
  }
  return sum / static_cast<double>(std::max<int64_t>(counted, 1));
}

struct Distillation {
  FinetuningJob job;
  DistillationLength length;
  Models models;
  PhaseImages images;
  const Communicator& communicator;
  ImageStream stream;
  Prefix held_out_outputs;  ///< the teacher's
  TensorMap trained = {};   ///< the student's own tensors
  BestSoFar best = {};
  std::optional<double> before = {};  ///< held-out loss at the beginning of the phase

  const Plan& plan() const { return *models.teacher.plan; }

  std::vector<Trainable> begin();
  std::vector<Tensor> gather(const std::vector<int64_t>& of, int64_t step) const;
  Tensor loss_of(const std::vector<Tensor>& gathered) const;
  void after_step(int64_t step);
  PhaseOutcome conclude();
  TensorMap state() const;
  void restore(const TensorMap& state);
  std::optional<double> held_out_divergence(int64_t steps) const;
};

std::vector<Trainable> Distillation::begin() {
  const auto& [teacher, student, calibrated] = models;
  if (plan().output.parts.empty()) held_out_outputs.advance_to(plan().section_count());
  std::vector<Trainable> trainables = trainable_weights(student, calibrated, plan().products, length.learning_rate);
  if (job.train_low_rank) {
    for (Trainable& factor : trainable_factors(student, calibrated, plan().products, length.learning_rate))
      trainables.push_back(std::move(factor));
  }
  for (const NodeId node : plan().all_nodes()) {
    const double rate = plan().is_weight(node) ? job.scales.weight_learning_rate : job.scales.activation_learning_rate;
    for (Trainable& scale : trainable_scales(student, calibrated, {node}, rate)) trainables.push_back(std::move(scale));
  }
  if (job.distill.optimizer == "sgd") {
    for (Trainable& entry : trainables) entry.rate = at::full_like(entry.rate, length.learning_rate);
  }
  trained = student_tensors_of(trainables);
  before = held_out_divergence(0);
  if (before) best.offer(*before, trained);
  return trainables;
}

/// The images.
std::vector<Tensor> Distillation::gather(const std::vector<int64_t>& of, int64_t step) const {
  const Tensor images_made = images_of_step(stream, of, step);
  return {sent_to(models.student.model.device(), images_made)};
}

Tensor Distillation::loss_of(const std::vector<Tensor>& gathered) const {
  const auto& [teacher, student, calibrated] = models;
  const Tensor& input = gathered[0];
  std::vector<Tensor> wanted;
  {
    const at::NoGradGuard no_grad;
    wanted = forward_outputs(teacher, input);
  }
  const std::vector<Tensor> given = forward_outputs(student.model, input, quantizing_tap(student));
  const Tensor features = job.distill.feature_weight * relative_error(plan(), wanted, given);
  const Tensor expected = output_of(teacher, wanted).detach(), output = output_of(student.model, given);
  const double temperature = job.distill.temperature;
  const Tensor distance = job.distill.distance == "mae"
                              ? mean_absolute_error(plan().output, expected, output)
                              : divergence(plan().output, expected, output, temperature) * (temperature * temperature);
  return (distance + features).sum();
}

void Distillation::after_step(int64_t step) {
  const int64_t done = step + 1;
  const bool due = done * checks / length.iterations != step * checks / length.iterations;
  if (!due || !before) return;
  best.offer(held_out_divergence(done).value(), trained);
}

/// After so many steps.
std::optional<double> Distillation::held_out_divergence(int64_t steps) const {
  const Student& student = models.student;
  const std::string where = "distill, step " + std::to_string(steps);
  return held_out_loss(images.held_out, communicator, where, [&](const std::vector<int64_t>& of) {
    const Tensor rows = images.held_out.rows(of);
    const Tensor bytes = images.held_out.bytes.index_select(0, rows).to(student.model.device());
    const Tensor input = normalise(images.preprocessing, bytes);
    const bool is_last_section = plan().output.parts.empty();
    const Tensor wanted = is_last_section ? held_out_outputs.rows(rows) : forward(models.teacher, input);
    const Tensor output = forward(student.model, input, quantizing_tap(student));
    return divergence(plan().output, wanted, output).sum().item<double>();
  });
}

PhaseOutcome Distillation::conclude() {
  if (!before) return {};
  const double loss = best.loss().value();
  const PhaseOutcome outcome{.before = before, .trained = loss, .kept = loss < *before};
  const at::NoGradGuard no_grad;
  for (auto& [name, tensor] : trained) tensor.copy_(best.tensors().at(name));
  return outcome;
}

TensorMap Distillation::state() const {
  if (!before) return {};
  TensorMap state = best.state();
  state["before"] = at::scalar_tensor(*before, at::kDouble);
  return state;
}

void Distillation::restore(const TensorMap& state) {
  if (!before) return;
  best.restore(state);
  const auto begin = state.find("before");
  if (begin == state.end() || begin->second.numel() != 1)
    throw Fault("the checkpoint lacks the loss 'before' its phase; remove it and run again");
  before = begin->second.item<double>();
}

}  // namespace

Phase distillation_phase(const FinetuningJob& job, const DistillationLength& length, const Models& models,
                         const PhaseImages& images, const Communicator& communicator, const CacheBudget& budget) {
  const auto shared = std::make_shared<Distillation>(Distillation{
      .job = job,
      .length = length,
      .models = models,
      .images = images,
      .communicator = communicator,
      .stream = {images.training, images.preprocessing, mixture_cycle(job.distill.images), job.seed, images.generated},
      .held_out_outputs = Prefix(models.teacher, {}, images.held_out, images.preprocessing, budget)});
  Phase phase;
  phase.name = "distill";
  phase.iterations = length.iterations;
  phase.optimizer = job.distill.optimizer == "sgd" ? Optimizer::sgd : Optimizer::adam;
  phase.begin = [shared] { return shared->begin(); };
  phase.loss = [shared](const std::vector<int64_t>& of, int64_t step) { return shared->loss_of(shared->gather(of, step)); };
  phase.split = {.gather = [shared](const std::vector<int64_t>& of, int64_t step) { return shared->gather(of, step); },
                 .loss_of = [shared](const std::vector<Tensor>& gathered) { return shared->loss_of(gathered); }};
  phase.after_step = [shared](int64_t step) { shared->after_step(step); };
  phase.conclude = [shared](std::vector<Trainable>&) { return shared->conclude(); };
  phase.state = [shared] { return shared->state(); };
  phase.restore = [shared](const TensorMap& state) { shared->restore(state); };
  return phase;
}

}  // namespace eidolon
