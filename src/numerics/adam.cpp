#include "numerics/adam.h"

#include <cmath>
#include <vector>

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

void adam_steps(std::vector<Tensor> parameters, const std::vector<Tensor>& gradients, const std::vector<AdamMoments*>& moments,
                const std::vector<Tensor>& rates, const AdamSettings& settings) {
  if (parameters.empty() || parameters.front().is_cpu()) {
    for (size_t i = 0; i < parameters.size(); ++i) adam_step(parameters[i], gradients[i], *moments[i], rates[i], settings);
    return;
  }
  at::NoGradGuard no_grad;
  std::vector<Tensor> averages, squares;
  std::vector<at::Scalar> corrections1, corrections2;
  for (AdamMoments* one : moments) {
    const double step = static_cast<double>(++one->step);
    averages.push_back(one->exp_avg);
    squares.push_back(one->exp_avg_sq);
    corrections1.emplace_back(1.0 - std::pow(settings.beta1, step));
    corrections2.emplace_back(1.0 - std::pow(settings.beta2, step));
  }
  at::_foreach_mul_(averages, settings.beta1);
  at::_foreach_add_(averages, gradients, 1.0 - settings.beta1);
  at::_foreach_mul_(squares, settings.beta2);
  at::_foreach_addcmul_(squares, gradients, gradients, 1.0 - settings.beta2);
  const std::vector<Tensor> denominators = at::_foreach_div(squares, corrections2);
  at::_foreach_sqrt_(denominators);
  at::_foreach_add_(denominators, settings.epsilon);
  const std::vector<Tensor> updates = at::_foreach_div(averages, corrections1);
  at::_foreach_div_(updates, denominators);
  at::_foreach_mul_(updates, rates);
  at::_foreach_sub_(parameters, updates);
}

}  // namespace eidolon
