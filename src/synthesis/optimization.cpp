#include "synthesis/optimization.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "job/synthesis_methods.h"
#include "numerics/schedule.h"
#include "numerics/transfer.h"

namespace eidolon {
namespace {

constexpr AdamSettings pixel_adam{0.5, 0.9, 1e-8};

/// Rounds share the iterations evenly; the last takes the rest.
struct RoundPosition {
  int64_t step, length;
};

RoundPosition round_at(const SynthesisJob& job, int64_t iteration) {
  const int64_t iterations = iterations_of(job);
  const int64_t rounds = std::min(synthesis_method(job.method).rounds.count, iterations);
  const int64_t even = iterations / rounds;
  const int64_t round = std::min(iteration / even, rounds - 1);
  const int64_t length = round == rounds - 1 ? iterations - round * even : even;
  return {iteration - round * even, length};
}

/// In one copy; nothing where there are no views.
std::vector<Tensor> sent_views(const SynthesisTeacher& teacher, const SynthesisJob& job, const Unit& unit, int64_t iteration) {
  const Views views = draw_views(job, teacher.preprocessing, unit, iteration);
  if (!views.side.defined()) return {};
  return {sent_to(teacher.device(), views.joined())};
}

}  // namespace

double learning_rate_at(const SynthesisJob& job, const Preprocessing& preprocessing, int64_t iteration) {
  const RoundPosition position = round_at(job, iteration);
  const int64_t warmup = std::min(synthesis_method(job.method).rounds.warmup_iterations, position.length / 5);
  return job.learning_rate * 0.226 / preprocessing.mean_std() * warmup_then_cosine(position.step, position.length, warmup);
}

UnitState start_unit(const SynthesisTeacher& teacher, const Tensor& pixels) {
  const Tensor own = pixels.to(teacher.device()).clone();
  return {own, AdamMoments::zeros_like(own), 0};
}

OutputsOf iteration_outputs(const SynthesisTeacher& teacher, const UnitObjective& objective, const Tensor& pixels) {
  return [&teacher, &objective, pixels](const std::vector<Tensor>& gathered) {
    const Views views = gathered.empty() ? Views() : Views::of(gathered[0]);
    const std::vector<TermLoss> losses = losses_of(objective, look(teacher, objective, pixels, views));
    std::vector<Tensor> outputs{weighted_sum(losses)};
    for (const TermLoss& loss : losses) outputs.push_back(loss.value);
    return outputs;
  };
}

std::vector<TermLoss> optimise_once(const SynthesisTeacher& teacher, const SynthesisJob& job, const UnitObjective& objective,
                                    UnitState& state, StepGraph* graph) {
  const Preprocessing& preprocessing = teacher.preprocessing;
  if (round_at(job, state.iteration).step == 0) state.moments = AdamMoments::zeros_like(state.pixels);
  const Tensor pixels = state.pixels.detach().requires_grad_(true);
  const std::vector<Tensor> gathered = sent_views(teacher, job, objective.unit, state.iteration);
  const OutputsOf outputs_of = iteration_outputs(teacher, objective, pixels);
  std::optional<StepResults> results;
  if (graph != nullptr && objective.recordable) results = graph->replay(outputs_of, gathered, {pixels});
  if (!results) results = results_of(outputs_of, gathered, {pixels});

  const double rate = learning_rate_at(job, preprocessing, state.iteration);
  adam_step(state.pixels, results->gradients[0], state.moments, at::scalar_tensor(rate, at::kFloat), pixel_adam);
  const at::NoGradGuard no_gradients;
  state.pixels.clamp_(objective.valid.lowest, objective.valid.highest);
  ++state.iteration;
  std::vector<TermLoss> losses;
  for (size_t i = 0; i < objective.terms.size(); ++i)
    losses.push_back({objective.terms[i].name, objective.terms[i].weight, results->outputs[i + 1]});
  return losses;
}

}  // namespace eidolon
