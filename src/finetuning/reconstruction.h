// Block-wise reconstruction: section by section, the quantized section learns to give the full-precision one's output.
#pragma once

#include "finetuning/prefix.h"
#include "finetuning/strategy.h"

namespace eidolon {

/// Phase s trains section s (patch embedding, blocks, head): loss = squared error against the teacher's section output on the
/// teacher's inputs, summed over tokens and averaged over channels; input = output of the already quantized sections before
/// (SARDFQ and I&S-ViT, arXiv 2412.16553 and 2311.10126). LayerNorms stay frozen.
class Reconstruction : public Strategy {
 public:
  explicit Reconstruction(const StrategyContext& context);
  int phases() const override;
  std::string phase_name(int phase) const override;
  std::vector<Trainable> begin(int phase) override;
  Tensor loss(const std::vector<int64_t>& images) override;
  PhaseOutcome conclude(std::vector<Trainable>& trainables) override;

 private:
  /// Inputs from the quantized sections before, targets from the teacher.
  struct Pairs {
    Prefix inputs, targets;
  };
  Pairs pairs_for(const SyntheticImages& images) const;
  Tensor squared_error(const Student& student, const Pairs& pairs, const Tensor& rows) const;
  double held_out_error(const Student& student) const;

  StrategyContext context_;
  int section_ = 0;
  Pairs training_, held_out_;
};

}  // namespace eidolon
