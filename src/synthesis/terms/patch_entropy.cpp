#include "synthesis/terms/patch_entropy.h"

#include <cmath>
#include <numbers>

#include "base/error.h"

namespace eidolon {
namespace {

constexpr double bandwidth = 0.01;
constexpr double spacing = bandwidth / 2;      ///< of the density's grid
constexpr double edge = -1.0 - 5 * bandwidth;  ///< where the grid begins; no kernel reaches farther
constexpr int64_t points = 421;                ///< up to -edge
constexpr double least_density = 1e-4;         ///< PSAQ-ViT's, keeps the logarithm finite
constexpr double least_variance = 1e-8;        ///< MaskAQ's; similarities of a flat image have none

/// Unit vectors B x W x P x D/H: the heads' mean for every patch of every window, of which there is one over all patches or
/// more.
Tensor patch_directions(const Tensor& outputs) {
  const Tensor in_windows = outputs.dim() == 5 ? outputs : outputs.unsqueeze(1);
  const Tensor means = in_windows.mean(3, false, at::promote_types(outputs.scalar_type(), at::kFloat));
  return means / at::linalg_vector_norm(means, 2, at::IntArrayRef{-1}, true).clamp_min(1e-6);
}

/// The similarities of all pairs i < j of a window, of all windows one after the other: B x W P (P - 1) / 2.
Tensor pair_similarities(const Tensor& directions) {
  const int64_t patches = directions.size(2);
  const Tensor corners = at::triu_indices(patches, patches, 1, at::TensorOptions(at::kLong).device(directions.device()));
  const Tensor pairs = corners[0] * patches + corners[1];
  const Tensor all = at::matmul(directions, directions.transpose(2, 3)).flatten(2);
  return all.index_select(2, pairs).flatten(1);
}

/// Each value's unit of mass is shared by the three grid points around it as a quadratic spline weighs them (the triangular
/// cloud of particle-mesh methods; Hockney and Eastwood, 1988): B x points, summing to 1. It costs three additions per value
/// where kernels at the values themselves cost an exponential per value and grid point, and its gradient is continuous.
Tensor shared_by_grid(const Tensor& values) {
  const Tensor position = (values - edge) / spacing;
  const Tensor nearest = position.detach().round().nan_to_num(1).clamp(1, points - 2);  // what is not finite shows in the loss
  const Tensor index = nearest.to(at::kLong);
  const Tensor offset = position - nearest;
  Tensor mass = at::zeros({values.size(0), points}, values.options());
  mass = mass.scatter_add(1, index - 1, 0.5 * (0.5 - offset).square());
  mass = mass.scatter_add(1, index, 0.75 - offset.square());
  mass = mass.scatter_add(1, index + 1, 0.5 * (0.5 + offset).square());
  return mass / static_cast<double>(values.size(1));
}

/// Entropy of the density that kernels make of the mass on the grid, per row. Sharing spreads every value by a variance of
/// spacing^2 / 4, by which the kernels are narrower.
Tensor kernel_entropy(const Tensor& mass) {
  const double variance = bandwidth * bandwidth - spacing * spacing / 4;
  const Tensor position = at::arange(points, mass.options()) * spacing;
  const Tensor kernel = (-0.5 / variance * (position.unsqueeze(0) - position.unsqueeze(1)).square()).exp() /
                        std::sqrt(2.0 * std::numbers::pi * variance);
  const Tensor density = at::mm(mass, kernel);
  return -(density * (density + least_density).log()).sum(-1) * spacing;
}

/// 1/2 log(2 pi e variance). With U the directions as rows, the sum of all similarities is |sum of rows|^2 and the sum of their
/// squares |U' U|^2, a D/H x D/H product: no pair is ever formed. Their P entries of 1 on the diagonal come off. In float64,
/// since the variance is a small difference.
Tensor gaussian_entropy(const Tensor& directions) {
  const auto patches = static_cast<double>(directions.size(2)), pairs = patches * (patches - 1);
  const Tensor wide = directions.to(at::kDouble);  // windows have equally many pairs, so that means may be averaged
  const Tensor mean = ((wide.sum(2).square().sum(-1) - patches) / pairs).mean(1);
  const Tensor squares = ((at::matmul(wide.transpose(2, 3), wide).square().sum({2, 3}) - patches) / pairs).mean(1);
  const Tensor variance = (squares - mean.square()).clamp_min(0) + least_variance;
  return (0.5 * (2.0 * std::numbers::pi * std::numbers::e * variance).log()).to(directions.scalar_type());
}

}  // namespace

Tensor patch_entropy_loss(const std::vector<Tensor>& outputs, const std::string& form) {
  const int64_t batch = outputs.at(0).size(0);
  std::vector<Tensor> per_block;
  for (const Tensor& block : outputs) {
    const Tensor directions = patch_directions(block);
    per_block.push_back(form == "gaussian" ? gaussian_entropy(directions) : shared_by_grid(pair_similarities(directions)));
  }
  const auto blocks = static_cast<int64_t>(per_block.size());
  const Tensor entropies =
      form == "gaussian" ? at::stack(per_block) : kernel_entropy(at::cat(per_block)).reshape({blocks, batch});
  return -entropies.sum(0);
}

DrawnTerm draw_entropy_term(const TermContext& context) {
  if (context.teacher.plan().attention.empty() && map_nodes(context.teacher.plan()).empty()) {
    throw BadInput(
        "synthesis.psaq.entropy_weight compares patches, but the teacher has neither attention nor maps of a moderate size; "
        "set it to 0");
  }
  const std::string form = context.job.psaq.entropy_form;
  const auto loss = [form](const Seen& seen) {
    std::vector<Tensor> outputs;
    for (const AttentionReading& reading : seen.attention) outputs.push_back(reading.output);
    return patch_entropy_loss(outputs, form);
  };
  return {.loss = loss, .recordable = form == "gaussian"};
}

}  // namespace eidolon
