// QDrop (Wei et al., ICLR 2022, arXiv 2203.05740): a training step sees the rounding errors of only some input elements, drawn
// anew at every step. That keeps the weights from fitting the errors of the few images.
#pragma once

#include <vector>

#include "base/tensor.h"
#include "numerics/random.h"

namespace eidolon {

/// What the draws of a step depend on: one stream per image, so that any number of ranks draws the same.
struct StepImages {
  uint64_t seed;
  std::vector<int64_t> images;  ///< global indices, in the order of the batch
  int64_t step;                 ///< of all phases
};

/// `quantized` with each element replaced by the one of `exact`, with `probability`. Both B x ..., without gradients.
Tensor mixed_input(const Tensor& quantized, const Tensor& exact, const StepImages& at, double probability);

}  // namespace eidolon
