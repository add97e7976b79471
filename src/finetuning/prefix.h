// What stands in front of a section: the inputs that a rank's images give it, computed once and kept.
#pragma once

#include "finetuning/cache_budget.h"
#include "finetuning/synthetic_images.h"
#include "model/network.h"
#include "model/preprocessing.h"

namespace eidolon {

/// The outputs of sections 0..s-1 for one rank's images, in front of section s. Kept within a budget, on the device if they
/// fit there; else computed anew at each call, from the last section whose input is kept. Without gradients; in chunks of a
/// fixed size, so that a resumed run computes the same bits.
class Prefix {
 public:
  /// `model` and the tap's student must outlive the prefix and must not change in the sections already passed.
  Prefix(const Network& model, Tap tap, const SyntheticImages& images, const Preprocessing& preprocessing,
         const CacheBudget& budget);

  /// Forwards only. Takes the memory of what is kept and of one chunk; where the shape or the place changes, of both that is
  /// kept before and after.
  void advance_to(int section);
  /// The section's input for these rows, on the model's device. In float32, kept or computed, in whatever precision a training
  /// step that asks for them multiplies (finetuning.precision).
  Tensor rows(const Tensor& numbers) const;
  int64_t kept_bytes() const;
  bool kept_on_device() const { return kept_.defined() && kept_.device() == model_.device(); }
  void forget();  ///< gives the memory back; rows are computed from now on

 private:
  int64_t bytes_in_front_of(int section) const;
  int last_kept(int section) const;
  void keep(int section);
  Tensor computed(const Tensor& numbers, int to_section) const;

  const Network& model_;
  Tap tap_;
  const SyntheticImages& images_;
  Preprocessing preprocessing_;
  CacheBudget budget_;
  int section_ = 0;
  int kept_section_ = 0;
  Tensor kept_;  ///< the input of kept_section_; undefined in front of section 0
};

}  // namespace eidolon
