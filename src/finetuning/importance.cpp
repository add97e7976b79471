#include "finetuning/importance.h"

#include <vector>

#include "model/token_units.h"
#include "quantization/student.h"

namespace eidolon {
namespace {

constexpr double temperature = 20;
constexpr int64_t most_images = 64;  ///< more would cost as much as the training of a section
constexpr size_t chunk = 16;         ///< images per pass

Tensor log_classes(const VisionTransformer& teacher, int section, Tensor output) {
  for (int s = section + 1; s < section_count(teacher.architecture); ++s) output = forward_section(teacher, s, output);
  return (output / temperature).log_softmax(-1);
}

std::vector<int64_t> output_shape(const Architecture& architecture, int section) {
  if (section == section_count(architecture) - 1) return {architecture.classes};
  return {architecture.tokens(), architecture.width};
}

/// This rank's share of the first images, in chunks.
std::vector<std::vector<int64_t>> chunks_of(const SyntheticImages& images) {
  std::vector<std::vector<int64_t>> chunks;
  for (const int64_t image : images.global) {
    if (image >= most_images) continue;
    if (chunks.empty() || chunks.back().size() == chunk) chunks.emplace_back();
    chunks.back().push_back(image);
  }
  return chunks;
}

}  // namespace

Tensor class_sensitivity(const VisionTransformer& teacher, int section, const Tensor& exact, const Tensor& output) {
  const Tensor expected = log_classes(teacher, section, exact.detach());
  const at::AutoGradMode with_gradients(true);
  const Tensor leaf = output.detach().clone().requires_grad_(true);
  const Tensor divergence = (expected.exp() * (expected - log_classes(teacher, section, leaf))).sum();
  return torch::autograd::grad({divergence}, {leaf}).front();
}

Tensor measure_importance(const StrategyContext& context, int section, const Prefix& inputs, const Prefix& targets) {
  if (context.job.importance == "none") return {};
  const Student& calibrated = context.calibrated;
  Tensor importance = at::zeros(output_shape(context.teacher.architecture, section), context.teacher["cls_token"].options());
  for (const std::vector<int64_t>& images : chunks_of(context.images)) {
    const Tensor rows = context.images.rows(images), exact = targets.rows(rows);
    const at::NoGradGuard no_gradients;
    const Tensor output = forward_section(calibrated.model, section, inputs.rows(rows), quantizing_tap(calibrated));
    const Tensor unit = context.job.token_units ? token_deviation(exact) : at::ones({1}, exact.options());
    importance += (class_sensitivity(context.teacher, section, exact, output) * unit).abs().sum(0);
  }
  context.communicator.all_reduce_sum(importance);
  const double mean = importance.mean().item<double>();
  return mean > 0 ? importance / mean : at::ones_like(importance);
}

Tensor weighted_square(const Tensor& importance, const Tensor& error) {
  return importance.defined() ? (error.square() * importance).sum() : error.square().sum();
}

}  // namespace eidolon
