// Adam (Kingma and Ba, 2015) on one tensor. Its state is a plain value, so that it can be saved and restored.
#pragma once

#include <cstdint>
#include <vector>

#include "base/tensor.h"

namespace eidolon {

struct AdamSettings {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
};

struct AdamMoments {
  Tensor exp_avg;
  Tensor exp_avg_sq;
  int64_t step = 0;

  static AdamMoments zeros_like(const Tensor& parameter);
};

/// One step, in place, on the parameter's device. `rate` is a scalar tensor, or one that broadcasts to the parameter's
/// shape (e.g. a learning rate per output channel).
void adam_step(Tensor& parameter, const Tensor& gradient, AdamMoments& moments, const Tensor& rate,
               const AdamSettings& settings);

/// The same of many tensors on one device, `rates` one each. On a GPU one kernel serves them all where it can; on the CPU
/// each tensor is finished while it lies in the cache.
void adam_steps(std::vector<Tensor> parameters, const std::vector<Tensor>& gradients, const std::vector<AdamMoments*>& moments,
                const std::vector<Tensor>& rates, const AdamSettings& settings);

}  // namespace eidolon
