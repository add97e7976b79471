#include "finetuning/phase.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "finetuning/distillation.h"
#include "finetuning/reconstruction.h"
#include "numerics/product_precision.h"

namespace eidolon {
namespace {

constexpr size_t held_out_batch = 16;

}  // namespace

std::vector<Phase> phases_of(const FinetuningJob& job, const Models& models, const PhaseImages& images,
                             const Communicator& communicator, const CacheBudget& budget) {
  const auto distillation = [&](int64_t iterations, double learning_rate) {
    return distillation_phase(job, {.iterations = iterations, .learning_rate = learning_rate}, models, images, communicator,
                              budget);
  };
  if (job.method == "none") return {};
  if (job.method == "distill") return {distillation(job.iterations, job.learning_rate)};
  if (job.method != "blockwise") {
    throw BadInput("finetuning.method '" + job.method + "' is not one of blockwise, distill, none");
  }
  std::vector<Phase> phases = reconstruction_phases(job, models, images, communicator, budget);
  if (job.distill.iterations > 0) phases.push_back(distillation(job.distill.iterations, job.distill.learning_rate));
  return phases;
}

std::optional<double> held_out_loss(const SyntheticImages& held_out, const Communicator& communicator, const std::string& where,
                                    const std::function<double(const std::vector<int64_t>&)>& sum) {
  at::NoGradGuard no_grad;
  const ProductPrecision exact("fp32");  // losses before and within a phase are compared
  const std::vector<int64_t>& all = held_out.global;
  double total = 0;
  for (size_t first = 0; first < all.size(); first += held_out_batch) {
    const size_t end = std::min(first + held_out_batch, all.size());
    total += sum({all.begin() + static_cast<int64_t>(first), all.begin() + static_cast<int64_t>(end)});
  }
  const double images = communicator.sum(static_cast<double>(all.size()));
  if (images == 0) return std::nullopt;
  const double loss = communicator.sum(total) / images;
  if (std::isfinite(loss)) return loss;
  throw Fault(where + ": the loss on held-out images is not finite; lower the learning rates of [finetuning]");
}

PhaseOutcome keep_if_better(std::optional<double> calibrated_loss, std::optional<double> trained_loss,
                            const Student& calibrated, TensorMap trained) {
  const bool asked = calibrated_loss && trained_loss;
  const PhaseOutcome outcome{
      .before = calibrated_loss, .trained = trained_loss, .kept = !asked || *trained_loss < *calibrated_loss};
  if (outcome.kept) return outcome;
  at::NoGradGuard no_grad;
  const TensorMap originals = student_tensors(calibrated);
  for (auto& [name, tensor] : trained) tensor.copy_(originals.at(name));
  return outcome;
}

}  // namespace eidolon
