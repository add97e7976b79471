// Stochastic gradient descent with Nesterov's momentum and weight decay, as PyTorch has it (Sutskever et al., ICML 2013).
#pragma once

#include "base/tensor.h"

namespace eidolon {

struct SgdSettings {
  double momentum = 0.9;
  double weight_decay = 1e-4;
};

/// One step, in place: g' = g + decay * parameter, velocity = momentum * velocity + g', parameter -= rate * (g' + momentum *
/// velocity). `velocity` begins at 0; `rate` is a scalar tensor or broadcasts to the parameter.
void sgd_step(Tensor& parameter, const Tensor& gradient, Tensor& velocity, const Tensor& rate, const SgdSettings& settings);

}  // namespace eidolon
