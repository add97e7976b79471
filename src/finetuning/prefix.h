// What stands in front of a section: the inputs that a rank's images give it, computed once and kept.
#pragma once

#include "finetuning/synthetic_images.h"
#include "model/network.h"
#include "model/preprocessing.h"

namespace eidolon {

/// The outputs of sections 0..s-1 for one rank's images, in front of section s. Kept in memory within a budget, else computed
/// anew at each call. Without gradients; in chunks of a fixed size, so that a resumed run computes the same bits.
class Prefix {
 public:
  /// `model` and the tap's student must outlive the prefix and must not change in the sections already passed.
  Prefix(const Network& model, Tap tap, const SyntheticImages& images, const Preprocessing& preprocessing,
         int64_t budget_bytes);

  void advance_to(int section);              ///< forwards only; needs the memory of what is kept and of one chunk
  Tensor rows(const Tensor& numbers) const;  ///< the section's input for these rows
  int64_t kept_bytes() const;
  void forget();  ///< gives the memory back; rows are computed from now on

 private:
  Tensor compute(const Tensor& numbers, int to_section) const;

  const Network& model_;
  Tap tap_;
  const SyntheticImages& images_;
  Preprocessing preprocessing_;
  int64_t budget_bytes_;
  int section_ = 0;
  Tensor kept_;  ///< undefined in front of section 0 and where the budget does not suffice
};

}  // namespace eidolon
