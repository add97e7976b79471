// One step of data-parallel training.
#pragma once

#include <vector>

#include "finetuning/gradient_reducer.h"
#include "finetuning/phase.h"
#include "numerics/step_graph.h"

namespace eidolon {

struct TrainingStep {
  std::vector<int64_t> images;  ///< this rank's share of the batch, global indices
  int64_t batch = 1;            ///< images of all ranks
  int64_t number = 0;           ///< of the phase, from 0
  double rate_factor = 1;       ///< multiplies each trainable's rate
};

/// Gradients of this rank's share of the loss (sum over `images` / `batch`), summed over ranks, then one step of the phase's
/// optimizer, no farther down than each trainable's lowest value. Every rank must call it, also with no images. Returns this
/// rank's share of the loss, detached, on its device; the sum over ranks is the loss of the step. A `graph` of the phase's own
/// starts the kernels of a loss that can be split where this rank has the whole batch; shares of one vary in size.
Tensor train_step(const Phase& phase, std::vector<Trainable>& trainables, GradientReducer& reducer, const TrainingStep& step,
                  StepGraph* graph = nullptr);

std::vector<Tensor> parameters_of(const std::vector<Trainable>& trainables);

}  // namespace eidolon
