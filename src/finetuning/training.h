// One step of data-parallel training.
#pragma once

#include <vector>

#include "finetuning/gradient_reducer.h"
#include "finetuning/strategy.h"

namespace eidolon {

/// Step `step` of a phase: gradients of this rank's share of the loss (sum over `images` / `batch`), summed over ranks, then
/// one Adam step at `rate_factor` times each trainable's rate, no farther down than its lowest value. Every rank must call it,
/// also with no images. Returns this rank's share of the loss, detached, on its device; the sum over ranks is the loss of the
/// step.
Tensor train_step(Strategy& strategy, std::vector<Trainable>& trainables, GradientReducer& reducer,
                  const std::vector<int64_t>& images, int64_t batch, int64_t step, double rate_factor);

std::vector<Tensor> parameters_of(const std::vector<Trainable>& trainables);

}  // namespace eidolon
