#include "synthesis/prior_weight.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace eidolon {
namespace {

double rounded_to_two_digits(double value) {
  const double unit = std::pow(10.0, std::floor(std::log10(value)) - 1.0);
  return std::round(value / unit) * unit;
}

}  // namespace

double balanced_prior_weight(const SynthesisTeacher& teacher, const SynthesisJob& job) {
  SynthesisJob prior_and_semantics = job;  // the weight must not depend on what else is switched on
  prior_and_semantics.sardfq.prior_weight = 1.0;
  prior_and_semantics.variation_weight = prior_and_semantics.batchnorm_weight = 0.0;
  const Unit probe{0, std::min<int64_t>(job.unit_images, 8)};
  const UnitObjective objective = draw_objective(teacher, prior_and_semantics, probe);
  const Tensor pixels = start_pixels(job, teacher.preprocessing, probe).to(teacher.device()).requires_grad_(true);
  Tensor prior, semantic;
  for (const TermLoss& loss : losses_of(objective, look(teacher, objective, pixels))) {
    Tensor& sum = loss.name == "prior" ? prior : semantic;
    sum = sum.defined() ? sum + loss.value : loss.value;
  }

  if (!semantic.defined()) {
    throw BadInput(
        "synthesis.sardfq.prior_weight = \"auto\" weighs the prior against what a class gives, and the teacher has "
        "none; give it a number");
  }
  const auto gradient_norm = [&](const Tensor& term) {
    return torch::autograd::grad({term.sum()}, {pixels}, {}, true)[0].norm().item<double>();
  };
  const double weight = gradient_norm(semantic) / gradient_norm(prior);
  if (!std::isfinite(weight) || weight <= 0) {
    throw Fault("synthesis.sardfq.prior_weight = \"auto\" found no gradient of the prior term at the start; give it a number");
  }
  return rounded_to_two_digits(weight);
}

}  // namespace eidolon
