// The best of a phase's states, by a loss on held-out images: early stopping.
#pragma once

#include <limits>

#include "base/tensor.h"

namespace eidolon {

class BestSoFar {
 public:
  /// Keeps copies of the tensors if `loss` is the lowest yet.
  void offer(double loss, const TensorMap& tensors);

  double loss() const { return loss_; }  ///< infinity before the first offer
  const TensorMap& tensors() const { return tensors_; }

  /// As entries of a checkpoint, names behind "best/"; and back.
  TensorMap state() const;
  void restore(const TensorMap& state);

 private:
  double loss_ = std::numeric_limits<double>::infinity();
  TensorMap tensors_;
};

}  // namespace eidolon
