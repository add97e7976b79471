#include "finetuning/strategy.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "finetuning/distillation.h"
#include "finetuning/reconstruction.h"
#include "finetuning/sequence.h"

namespace eidolon {
namespace {

class NoStrategy : public Strategy {
 public:
  int phases() const override { return 0; }
  std::string phase_name(int) const override { return "none"; }
  int64_t iterations(int) const override { return 0; }
  std::vector<Trainable> begin(int) override { return {}; }
  Tensor loss(const std::vector<int64_t>&, int64_t) override { return at::zeros({}); }
  PhaseOutcome conclude(std::vector<Trainable>&) override { return {}; }
};

constexpr size_t held_out_batch = 16;

}  // namespace

std::unique_ptr<Strategy> make_strategy(const StrategyContext& context) {
  const FinetuningJob& job = context.job;
  if (job.method == "distill") {
    return std::make_unique<Distillation>(context, DistillationPlan{job.iterations, job.learning_rate});
  }
  if (job.method == "blockwise") {
    auto blockwise = std::make_unique<Reconstruction>(context);
    if (job.distill_iterations == 0) return blockwise;
    auto distillation =
        std::make_unique<Distillation>(context, DistillationPlan{job.distill_iterations, job.distill_learning_rate});
    return std::make_unique<Sequence>(std::move(blockwise), std::move(distillation));
  }
  if (context.job.method == "none") return std::make_unique<NoStrategy>();
  throw BadInput("finetuning.method '" + context.job.method + "' is not one of blockwise, distill, none");
}

std::optional<double> held_out_loss(const StrategyContext& context, const std::string& where,
                                    const std::function<double(const std::vector<int64_t>&)>& sum) {
  at::NoGradGuard no_grad;
  const std::vector<int64_t>& all = context.held_out.global;
  double total = 0;
  for (size_t first = 0; first < all.size(); first += held_out_batch) {
    const size_t end = std::min(first + held_out_batch, all.size());
    total += sum({all.begin() + static_cast<int64_t>(first), all.begin() + static_cast<int64_t>(end)});
  }
  const double images = context.communicator.sum(static_cast<double>(all.size()));
  if (images == 0) return std::nullopt;
  const double loss = context.communicator.sum(total) / images;
  if (std::isfinite(loss)) return loss;
  throw Fault(where + ": the loss on held-out images is not finite; lower the learning rates of [finetuning]");
}

PhaseOutcome keep_if_better(std::optional<double> calibrated_loss, std::optional<double> trained_loss,
                            const Student& calibrated, TensorMap trained) {
  const bool asked = calibrated_loss && trained_loss;
  const PhaseOutcome outcome{calibrated_loss, trained_loss, !asked || *trained_loss < *calibrated_loss};
  if (outcome.kept) return outcome;
  at::NoGradGuard no_grad;
  const TensorMap originals = student_tensors(calibrated);
  for (auto& [name, tensor] : trained) tensor.copy_(originals.at(name));
  return outcome;
}

}  // namespace eidolon
