#include "synthesis/prior_weight.h"

#include <cmath>

#include "base/error.h"

namespace eidolon {
namespace {

double rounded_to_two_digits(double value) {
  const double unit = std::pow(10.0, std::floor(std::log10(value)) - 1.0);
  return std::round(value / unit) * unit;
}

/// The weight must not depend on what else is switched on.
SynthesisJob with_prior_and_semantics_alone(SynthesisJob job) {
  job.variation_weight = 0.0;
  return job;
}

}  // namespace

double balanced_prior_weight(const SynthesisTeacher& teacher, const SynthesisJob& job) {
  const Unit probe{0, std::min<int64_t>(job.unit_images, 8)};
  const SynthesisJob terms_of_probe = with_prior_and_semantics_alone(job);
  const UnitObjective objective = draw_objective(teacher, terms_of_probe, probe);
  const Tensor pixels = start_pixels(job, teacher.preprocessing, probe).to(teacher.device()).requires_grad_(true);
  const LossTerms terms = evaluate_objective(teacher, terms_of_probe, objective, pixels);

  const Tensor semantic = terms.crops.defined() ? terms.semantic + terms.crops : terms.semantic;
  const auto gradient_norm = [&](const Tensor& term) {
    return torch::autograd::grad({term.sum()}, {pixels}, {}, true)[0].norm().item<double>();
  };
  const double weight = gradient_norm(semantic) / gradient_norm(terms.prior);
  if (!std::isfinite(weight) || weight <= 0) {
    throw Fault("synthesis.sardfq.prior_weight = \"auto\" found no gradient of the prior term at the start; give it a number");
  }
  return rounded_to_two_digits(weight);
}

}  // namespace eidolon
