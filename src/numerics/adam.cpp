#include "numerics/adam.h"

#include <cmath>

namespace eidolon {

AdamMoments AdamMoments::zeros_like(const Tensor& parameter) {
  return {at::zeros_like(parameter.detach()), at::zeros_like(parameter.detach()), 0};
}

void adam_step(Tensor& parameter, const Tensor& gradient, AdamMoments& moments, const Tensor& rate,
               const AdamSettings& settings) {
  at::NoGradGuard no_grad;
  const double step = static_cast<double>(++moments.step);
  const double correction1 = 1.0 - std::pow(settings.beta1, step);
  const double correction2 = 1.0 - std::pow(settings.beta2, step);
  moments.exp_avg.mul_(settings.beta1).add_(gradient, 1.0 - settings.beta1);
  moments.exp_avg_sq.mul_(settings.beta2).addcmul_(gradient, gradient, 1.0 - settings.beta2);
  const Tensor denominator = (moments.exp_avg_sq / correction2).sqrt_().add_(settings.epsilon);
  parameter.sub_(rate * (moments.exp_avg / correction1).div_(denominator));
}

}  // namespace eidolon
