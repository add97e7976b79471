// End-to-end distillation: the whole student learns the teacher's distribution over classes.
#pragma once

#include "finetuning/prefix.h"
#include "finetuning/strategy.h"

namespace eidolon {

/// One phase: loss = KL(teacher || student) of the logits in nats; weights, biases and (with scale_learning_rate > 0) all
/// scales are trained. The teacher's logits are computed once.
class Distillation : public Strategy {
 public:
  explicit Distillation(const StrategyContext& context);
  int phases() const override { return 1; }
  std::string phase_name(int) const override { return "distill"; }
  std::vector<Trainable> begin(int phase) override;
  Tensor loss(const std::vector<int64_t>& images, int64_t step) override;
  PhaseOutcome conclude(std::vector<Trainable>& trainables) override;

 private:
  Tensor divergence(const Student& student, const SyntheticImages& images, const Prefix& targets, const Tensor& rows) const;
  double held_out_divergence(const Student& student) const;

  StrategyContext context_;
  Prefix targets_, held_out_targets_;
};

}  // namespace eidolon
