#include "synthesis/optimization.h"

#include <algorithm>

#include "numerics/schedule.h"
#include "synthesis/candidates.h"
#include "synthesis/parametrization.h"

namespace eidolon {
namespace {

constexpr AdamSettings pixel_adam{0.5, 0.9, 1e-8};

/// Rounds share the iterations evenly; the last takes the rest.
struct RoundPosition {
  int64_t step, length;
};

RoundPosition round_at(const SynthesisJob& job, int64_t iteration) {
  const int64_t even = job.iterations / job.rounds;
  const int64_t round = std::min(iteration / even, job.rounds - 1);
  const int64_t length = round == job.rounds - 1 ? job.iterations - round * even : even;
  return {iteration - round * even, length};
}

}  // namespace

double learning_rate_at(const SynthesisJob& job, const Preprocessing& preprocessing, int64_t iteration) {
  const RoundPosition position = round_at(job, iteration);
  const int64_t warmup = std::min(job.warmup_iterations, position.length / 5);
  return job.learning_rate * 0.226 / preprocessing.mean_std() * warmup_then_cosine(position.step, position.length, warmup);
}

UnitState start_unit(const SynthesisTeacher& teacher, const SynthesisJob& job, const Unit& unit) {
  const Tensor parameters = encode_pixels(job, chosen_starts(teacher, job, unit));
  return {parameters, AdamMoments::zeros_like(parameters), 0};
}

Tensor pixels_of(const SynthesisTeacher& teacher, const SynthesisJob& job, const UnitState& state) {
  return decode_pixels(job, teacher.preprocessing, state.parameters);
}

LossTerms optimise_once(const SynthesisTeacher& teacher, const SynthesisJob& job, const UnitObjective& objective,
                        UnitState& state) {
  const Preprocessing& preprocessing = teacher.preprocessing;
  if (round_at(job, state.iteration).step == 0) state.moments = AdamMoments::zeros_like(state.parameters);
  const Tensor parameters = state.parameters.detach().requires_grad_(true);
  const Views views = draw_views(job, preprocessing, objective.unit, state.iteration).to(teacher.device());
  const LossTerms terms = evaluate_objective(teacher, job, objective, decode_pixels(job, preprocessing, parameters), views);
  const Tensor gradient = torch::autograd::grad({weighted_sum(terms, job, preprocessing)}, {parameters})[0];

  const double rate = learning_rate_at(job, preprocessing, state.iteration);
  adam_step(state.parameters, gradient, state.moments, at::scalar_tensor(rate, at::kFloat), pixel_adam);
  clamp_to_valid(job, preprocessing, objective.valid, state.parameters);
  ++state.iteration;
  return terms;
}

}  // namespace eidolon
