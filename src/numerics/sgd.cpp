#include "numerics/sgd.h"

namespace eidolon {

void sgd_step(Tensor& parameter, const Tensor& gradient, Tensor& velocity, const Tensor& rate, const SgdSettings& settings) {
  const at::NoGradGuard no_grad;
  const Tensor decayed = at::add(gradient, parameter, settings.weight_decay);
  velocity.mul_(settings.momentum).add_(decayed);
  parameter.sub_(rate * decayed.add_(velocity, settings.momentum));
}

}  // namespace eidolon
