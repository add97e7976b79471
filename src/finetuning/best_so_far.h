// The best of a phase's states, by a loss on held-out images: early stopping.
#pragma once

#include <optional>

#include "base/tensor.h"

namespace eidolon {

class BestSoFar {
 public:
  /// Keeps copies of the tensors if `loss` is the lowest yet; the first is.
  void offer(double loss, const TensorMap& tensors);

  std::optional<double> loss() const { return loss_; }  ///< nothing before the first offer
  const TensorMap& tensors() const { return tensors_; }

  /// As entries of a checkpoint, names behind "best/", none before the first offer.
  TensorMap state() const;
  /// Back, in place of tensors of the same names that were offered before. Fault naming the entry if one is missing or
  /// misshapen.
  void restore(const TensorMap& state);

 private:
  std::optional<double> loss_;
  TensorMap tensors_;
};

}  // namespace eidolon
