#include "finetuning/reconstruction.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "finetuning/adaround.h"
#include "finetuning/drop.h"
#include "finetuning/importance.h"
#include "finetuning/prefix.h"
#include "model/token_units.h"
#include "numerics/schedule.h"

namespace eidolon {
namespace {

constexpr double rounding_weight = 0.01;  ///< of the penalty that makes AdaRound's variables decide, as in its paper

void append(std::vector<Trainable>& all, std::vector<Trainable> further) {
  for (Trainable& entry : further) all.push_back(std::move(entry));
}

/// Inputs from the quantized sections before, targets from the teacher.
struct Pairs {
  Prefix inputs, targets;
};

/// Of all prefixes: two of training images, two of held-out ones, and one more where inputs are mixed.
int64_t kept_images(const FinetuningJob& job, int64_t training, int64_t held_out) {
  return (job.input_mix > 0 ? 3 : 2) * training + 2 * held_out;
}

/// What the phases share.
struct Reconstruction {
  Reconstruction(const FinetuningJob& the_job, const Models& the_models, const PhaseImages& the_images,
                 const Communicator& the_communicator, const CacheBudget& budget)
      : job(the_job),
        models(the_models),
        images(the_images),
        communicator(the_communicator),
        training(pairs(images.training, budget)),
        held_out(pairs(images.held_out, budget)) {
    if (job.input_mix > 0)
      exact_inputs.emplace(models.teacher, Tap{}, images.training, images.preprocessing, share_of(images.training, budget));
  }

  /// By how many images a prefix has.
  CacheBudget share_of(const SyntheticImages& some, const CacheBudget& budget) const {
    const int64_t all = kept_images(job, images.training.size(), images.held_out.size());
    return budget.share(some.size(), std::max<int64_t>(all, 1));
  }

  Pairs pairs(const SyntheticImages& of, const CacheBudget& budget) const {
    const CacheBudget share = share_of(of, budget);
    return {.inputs = Prefix(models.student.model, quantizing_tap(models.student), of, images.preprocessing, share),
            .targets = Prefix(models.teacher, {}, of, images.preprocessing, share)};
  }

  void advance_to(int section) {
    for (Pairs* one : {&training, &held_out}) {
      one->inputs.advance_to(section);
      one->targets.advance_to(section + 1);
    }
    if (exact_inputs) exact_inputs->advance_to(section);
  }

  /// Distillation may follow with caches of its own.
  void forget() {
    for (Pairs* one : {&training, &held_out}) {
      one->inputs.forget();
      one->targets.forget();
    }
    if (exact_inputs) exact_inputs->forget();
  }

  FinetuningJob job;
  Models models;
  PhaseImages images;
  const Communicator& communicator;
  Pairs training, held_out;
  std::optional<Prefix> exact_inputs;  ///< the teacher's, where they are mixed in
};

/// One section in training.
struct SectionTrainer {
  std::shared_ptr<Reconstruction> shared;
  int section;
  bool is_last = false;  ///< of those that are trained
  Tensor importance = {};
  std::vector<LearnedRounding> roundings = {};

  const Plan& plan() const { return *shared->models.teacher.plan; }
  Layout layout() const { return plan().sections[static_cast<size_t>(section)].output; }
  std::string name() const { return "reconstruct/" + plan().sections[static_cast<size_t>(section)].name; }

  std::vector<Trainable> begin();
  std::vector<Tensor> gather(const std::vector<int64_t>& images, int64_t step) const;
  Tensor loss_of(const std::vector<Tensor>& gathered) const;
  Tensor loss(const std::vector<int64_t>& images, int64_t step) const;
  PhaseOutcome conclude(const std::vector<Trainable>& trainables);

  std::vector<Trainable> trainables();
  Tensor training_input(const Tensor& rows, const StepImages& at) const;
  Tensor error_of(const Tensor& output, const Tensor& target) const;
  std::optional<double> held_out_error(const Student& student, const std::string& which) const;
};

std::vector<Trainable> SectionTrainer::begin() {
  shared->advance_to(section);
  if (shared->job.importance != "none") {
    importance = measure_importance(
        shared->models, shared->images.training, shared->communicator, section,
        {.inputs = shared->training.inputs, .targets = shared->training.targets, .token_units = shared->job.token_units});
  }
  return trainables();
}

std::vector<Trainable> SectionTrainer::trainables() {
  const FinetuningJob& job = shared->job;
  const auto& [teacher, student, calibrated] = shared->models;
  const std::vector<Product> products = plan().products_of(section);
  std::vector<NodeId> weights, activations;
  for (const NodeId node : plan().nodes_of(section)) (plan().is_weight(node) ? weights : activations).push_back(node);

  const double rate = job.learning_rate * falling_to_the_middle(section, plan().section_count(), job.learning_rate_multiplier);
  std::vector<Trainable> all;
  if (job.rounding == "adaround") {
    roundings = learned_roundings(calibrated, weights);
    append(all, trainable_roundings(roundings, plan(), job.adaround.learning_rate));
    append(all, trainable_biases(student, calibrated, products, rate));
  } else {
    append(all, trainable_weights(student, calibrated, products, rate));
  }
  if (job.train_low_rank) append(all, trainable_factors(student, calibrated, products, rate));
  append(all, trainable_scales(student, calibrated, activations, job.scales.activation_learning_rate));
  append(all, trainable_scales(student, calibrated, weights, job.scales.weight_learning_rate));
  return all;
}

Tensor SectionTrainer::training_input(const Tensor& rows, const StepImages& at) const {
  Tensor quantized = shared->training.inputs.rows(rows);
  if (!shared->exact_inputs || section == 0) return quantized;  // the image is nobody's output
  return mixed_input(quantized, shared->exact_inputs->rows(rows), at, shared->job.input_mix);
}

Tensor SectionTrainer::error_of(const Tensor& output, const Tensor& target) const {
  return shared->job.token_units ? in_token_units(output - target, target, layout()) : output - target;
}

/// The section's input and its wanted output.
std::vector<Tensor> SectionTrainer::gather(const std::vector<int64_t>& images, int64_t step) const {
  const FinetuningJob& job = shared->job;
  const Tensor rows = shared->images.training.rows(images);
  const StepImages at{.seed = job.seed, .images = images, .step = section * job.iterations + step};
  return {training_input(rows, at), shared->training.targets.rows(rows)};
}

Tensor SectionTrainer::loss_of(const std::vector<Tensor>& gathered) const {
  const Student& student = shared->models.student;
  const Tap tap = roundings.empty() ? quantizing_tap(student) : soft_weight_tap(student, roundings);
  const Tensor output = forward_section(student.model, section, gathered[0], tap);
  return weighted_square(importance, error_of(output, gathered[1])) / static_cast<double>(output.size(-1));
}

Tensor SectionTrainer::loss(const std::vector<int64_t>& images, int64_t step) const {
  Tensor loss = loss_of(gather(images, step));
  const std::optional<double> beta = penalty_exponent(step, shared->job.iterations);
  for (const LearnedRounding& rounding : roundings) {
    // Once per image, since train_step() divides by their number over all ranks.
    if (beta) loss = loss + rounding_weight * static_cast<double>(images.size()) * rounding_penalty(rounding.variable, *beta);
  }
  return loss;
}

std::optional<double> SectionTrainer::held_out_error(const Student& student, const std::string& which) const {
  const SyntheticImages& held_out = shared->images.held_out;
  return held_out_loss(held_out, shared->communicator, name() + ", " + which, [&](const std::vector<int64_t>& images) {
    const Tensor rows = held_out.rows(images), input = shared->held_out.inputs.rows(rows);
    const Tensor output = forward_section(student.model, section, input, quantizing_tap(student));
    const Tensor error = error_of(output, shared->held_out.targets.rows(rows)).square().sum();
    return error.item<double>() / static_cast<double>(output.size(-1));
  });
}

PhaseOutcome SectionTrainer::conclude(const std::vector<Trainable>& trainables) {
  const auto& [teacher, student, calibrated] = shared->models;
  TensorMap trained = student_tensors_of(trainables);
  for (const LearnedRounding& rounding : roundings) {
    const std::string& weight_name = plan().name(rounding.weight);
    Tensor& weight = student.model.parameters.at(weight_name);
    weight.copy_(hard_weight(rounding, student.quantizers.at(rounding.weight)));
    trained["student/" + weight_name] = weight;
  }
  const PhaseOutcome outcome = keep_if_better(held_out_error(calibrated, "as calibrated"),
                                              held_out_error(student, "after its last step"), calibrated, std::move(trained));
  roundings.clear();
  importance = Tensor();
  if (is_last) shared->forget();
  return outcome;
}

}  // namespace

int64_t section_cache_bytes(const Plan& plan, const FinetuningJob& job, int64_t training, int64_t held_out) {
  int64_t largest = 0;
  for (const Section& section : plan.sections) largest = std::max(largest, section.elements());
  return kept_images(job, training, held_out) * largest * static_cast<int64_t>(sizeof(float));
}

std::vector<Phase> reconstruction_phases(const FinetuningJob& job, const Models& models, const PhaseImages& images,
                                         const Communicator& communicator, const CacheBudget& budget) {
  const auto shared = std::make_shared<Reconstruction>(job, models, images, communicator, budget);
  const Plan& plan = *models.teacher.plan;
  std::vector<int> trained;  // a section without a product has nothing to train
  for (int section = 0; section < plan.section_count(); ++section) {
    if (!plan.products_of(section).empty()) trained.push_back(section);
  }
  std::vector<Phase> phases;
  for (const int section : trained) {
    const auto trainer = std::make_shared<SectionTrainer>(
        SectionTrainer{.shared = shared, .section = section, .is_last = section == trained.back()});
    Phase phase;
    phase.name = trainer->name();
    phase.iterations = job.iterations;
    phase.begin = [trainer] { return trainer->begin(); };
    phase.loss = [trainer](const std::vector<int64_t>& of, int64_t step) { return trainer->loss(of, step); };
    if (job.rounding != "adaround") {  // its penalty changes from step to step
      phase.split = {.gather = [trainer](const std::vector<int64_t>& of, int64_t step) { return trainer->gather(of, step); },
                     .loss_of = [trainer](const std::vector<Tensor>& gathered) { return trainer->loss_of(gathered); }};
    }
    phase.conclude = [trainer](std::vector<Trainable>& trainables) { return trainer->conclude(trainables); };
    phases.push_back(std::move(phase));
  }
  return phases;
}

}  // namespace eidolon
