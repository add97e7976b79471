#include "finetuning/importance.h"

#include <vector>

#include "model/readout.h"
#include "model/token_units.h"

namespace eidolon {
namespace {

constexpr double temperature = 20;
constexpr int64_t most_images = 64;  ///< more would cost as much as the training of a section
constexpr size_t chunk = 16;         ///< images per pass

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

Tensor output_sensitivity(const Network& teacher, int section, const Tensor& exact, const Tensor& output) {
  const Tensor expected = forward_behind(teacher, section, exact.detach());
  const at::AutoGradMode with_gradients(true);
  const Tensor leaf = output.detach().clone().requires_grad_(true);
  const Tensor given = forward_behind(teacher, section, leaf);
  return torch::autograd::grad({divergence(teacher.plan->output, expected, given, temperature).sum()}, {leaf}).front();
}

Tensor measure_importance(const Models& models, const SyntheticImages& images, const Communicator& communicator, int section,
                          const SectionData& data) {
  const auto& [teacher, student, calibrated] = models;
  const Section& shape_of = teacher.plan->sections[static_cast<size_t>(section)];
  Tensor importance = at::zeros(shape_of.shape, at::TensorOptions(teacher.dtype()).device(teacher.device()));
  for (const std::vector<int64_t>& some : chunks_of(images)) {
    const Tensor rows = images.rows(some), exact = data.targets.rows(rows);
    const at::NoGradGuard no_gradients;
    const Tensor output = forward_section(calibrated.model, section, data.inputs.rows(rows), quantizing_tap(calibrated));
    const Tensor unit = data.token_units ? token_deviation(exact, shape_of.output) : at::ones({1}, exact.options());
    importance += (output_sensitivity(teacher, section, exact, output) * unit).abs().sum(0);
  }
  communicator.all_reduce_sum(importance);
  const double mean = importance.mean().item<double>();
  return mean > 0 ? importance / mean : at::ones_like(importance);
}

Tensor weighted_square(const Tensor& importance, const Tensor& error) {
  return importance.defined() ? (error.square() * importance).sum() : error.square().sum();
}

}  // namespace eidolon
