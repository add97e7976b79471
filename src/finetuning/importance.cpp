#include "finetuning/importance.h"

#include <cmath>

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

/// Sums over this rank's images, then over ranks.
struct Measured {
  Tensor sensitivity;          ///< mean of |g|, g per unit of the errors, scaled to a mean of 1 over its elements
  std::vector<Tensor> errors;  ///< of this rank's chunks
};

Measured measure(const StrategyContext& context, int section, const Prefix& inputs, const Prefix& targets) {
  const Student& calibrated = context.calibrated;
  Measured measured{at::zeros(output_shape(context.teacher.architecture, section), context.teacher["cls_token"].options()), {}};
  for (const std::vector<int64_t>& images : chunks_of(context.images)) {
    const Tensor rows = context.images.rows(images), exact = targets.rows(rows);
    const at::NoGradGuard no_gradients;
    const Tensor output = forward_section(calibrated.model, section, inputs.rows(rows), quantizing_tap(calibrated));
    const Tensor unit = context.job.token_units ? token_deviation(exact) : at::ones({1}, exact.options());
    measured.sensitivity += (class_sensitivity(context.teacher, section, exact, output) * unit).abs().sum(0);
    measured.errors.push_back((output - exact) / unit);
  }
  context.communicator.all_reduce_sum(measured.sensitivity);
  const double mean = measured.sensitivity.mean().item<double>();
  if (mean > 0) {
    measured.sensitivity /= mean;
  } else {
    measured.sensitivity.fill_(1);
  }
  return measured;
}

/// Sum over images of (sum of G |e|)^2.
Tensor rank_one_square(const Tensor& direction, const Tensor& error) {
  return (error.abs() * direction).flatten(1).sum(1).square().sum();
}

}  // namespace

Tensor class_sensitivity(const VisionTransformer& teacher, int section, const Tensor& exact, const Tensor& output) {
  const Tensor expected = log_classes(teacher, section, exact.detach());
  const at::AutoGradMode with_gradients(true);
  const Tensor leaf = output.detach().clone().requires_grad_(true);
  const Tensor divergence = (expected.exp() * (expected - log_classes(teacher, section, leaf))).sum();
  return torch::autograd::grad({divergence}, {leaf}).front();
}

Importance measure_importance(const StrategyContext& context, int section, const Prefix& inputs, const Prefix& targets) {
  if (context.job.importance == "none") return {};
  const Measured measured = measure(context, section, inputs, targets);
  if (context.job.importance == "gradient") return {measured.sensitivity, {}};
  double diagonal = 0, rank_one = 0;
  for (const Tensor& error : measured.errors) {
    diagonal += (error.square() * measured.sensitivity).sum().item<double>();
    rank_one += rank_one_square(measured.sensitivity, error).item<double>();
  }
  diagonal = context.communicator.sum(diagonal);
  rank_one = context.communicator.sum(rank_one);
  const double scale = rank_one > 0 ? diagonal / rank_one : 0.0;
  return {0.5 * measured.sensitivity, std::sqrt(0.5 * scale) * measured.sensitivity};
}

Tensor weighted_square(const Importance& importance, const Tensor& error) {
  if (!importance.diagonal.defined()) return error.square().sum();
  const Tensor diagonal = (error.square() * importance.diagonal).sum();
  return importance.direction.defined() ? diagonal + rank_one_square(importance.direction, error) : diagonal;
}

}  // namespace eidolon
