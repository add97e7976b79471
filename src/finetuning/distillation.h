// End-to-end distillation: the whole student learns the teacher's distribution over classes and its block outputs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "finetuning/best_so_far.h"
#include "finetuning/image_stream.h"
#include "finetuning/prefix.h"
#include "finetuning/strategy.h"

namespace eidolon {

/// How long and how fast: of the only stage (method = "distill"), or of the one after block-wise reconstruction.
struct DistillationPlan {
  int64_t iterations;
  double learning_rate;  ///< in quantizer steps per iteration
};

/// One phase. Loss of an image = KL(teacher || student) of the logits in nats + feature weight x the mean over blocks
/// of the block outputs' squared errors per token and channel, in units of each token's deviation. Weights, biases and, with
/// rates above 0, scales are trained, on a stream of images (finetuning/image_stream.h). Ten times on the way KL on the
/// held-out images is asked, and the best state is the end; without held-out images the last one is.
class Distillation : public Strategy {
 public:
  Distillation(const StrategyContext& context, const DistillationPlan& plan);
  int phases() const override { return 1; }
  std::string phase_name(int) const override { return "distill"; }
  int64_t iterations(int) const override { return plan_.iterations; }
  std::vector<Trainable> begin(int phase) override;
  Tensor loss(const std::vector<int64_t>& images, int64_t step) override;
  void after_step(int64_t step) override;
  PhaseOutcome conclude(std::vector<Trainable>& trainables) override;
  TensorMap state() const override;
  void restore(const TensorMap& state) override;

 private:
  std::optional<double> held_out_divergence(int64_t steps) const;

  StrategyContext context_;
  DistillationPlan plan_;
  ImageStream stream_;
  Prefix held_out_logits_;  ///< the teacher's
  TensorMap trained_;       ///< the student's own tensors
  BestSoFar best_;
  std::optional<double> before_;  ///< held-out loss at the beginning of the phase
};

}  // namespace eidolon
