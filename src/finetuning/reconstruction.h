// Block-wise reconstruction: section by section, the quantized section learns to give the full-precision one's output.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "finetuning/adaround.h"
#include "finetuning/drop.h"
#include "finetuning/importance.h"
#include "finetuning/prefix.h"
#include "finetuning/strategy.h"

namespace eidolon {

/// Phase s trains section s (patch embedding, blocks, head): loss = squared error against the teacher's section output on the
/// teacher's inputs, summed over tokens and averaged over channels; input = output of the already quantized sections before
/// (SARDFQ and I&S-ViT, arXiv 2412.16553 and 2311.10126). LayerNorms stay frozen. The first sections learn faster (early_rate,
/// numerics/schedule.h). The job may mix the teacher's inputs in (finetuning/drop.h), weight the error
/// (finetuning/importance.h) and learn the weights' rounding instead of the weights (finetuning/adaround.h). Errors are in
/// units of each token's deviation unless token_units is off. Held-out images are asked for the squared error without any of
/// the others.
class Reconstruction : public Strategy {
 public:
  explicit Reconstruction(const StrategyContext& context);
  int phases() const override;
  std::string phase_name(int phase) const override;
  int64_t iterations(int) const override { return context_.job.iterations; }
  std::vector<Trainable> begin(int phase) override;
  Tensor loss(const std::vector<int64_t>& images, int64_t step) override;
  PhaseOutcome conclude(std::vector<Trainable>& trainables) override;

  int64_t cached_bytes() const;  ///< 0 again behind the last phase, since distillation may follow with caches of its own

 private:
  /// Inputs from the quantized sections before, targets from the teacher.
  struct Pairs {
    Prefix inputs, targets;
  };
  int64_t budget() const;
  Pairs pairs_for(const SyntheticImages& images) const;
  std::vector<Trainable> trainables();
  StepImages draws(const std::vector<int64_t>& images, int64_t step) const;
  Tensor training_input(const Tensor& rows, const StepImages& at) const;
  Tensor error_of(const Tensor& output, const Tensor& target) const;
  Tap training_tap() const;
  std::optional<double> held_out_error(const Student& student, const std::string& which) const;
  void forget_caches();

  StrategyContext context_;
  int section_ = 0;
  Pairs training_, held_out_;
  std::optional<Prefix> exact_inputs_;  ///< the teacher's, where they are mixed in
  Tensor importance_;
  std::vector<LearnedRounding> roundings_;
};

}  // namespace eidolon
