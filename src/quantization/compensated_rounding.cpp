#include "quantization/compensated_rounding.h"

#include "quantization/rounding_refinement.h"

namespace eidolon {
namespace {

Tensor part(const Tensor& matrix, const Tensor& rows, const Tensor& columns) {
  return matrix.index_select(0, rows).index_select(1, columns);
}

/// The grid of each output: its step and its first and last index, float64 m.
struct RowGrid {
  Tensor step, lowest, highest;
};

RowGrid row_grid(const Quantizer& quantizer, int64_t outputs) {
  const Tensor zero_point = quantizer.zero_point.to(at::kDouble).expand({outputs});
  return {quantizer.scale.to(at::kDouble).expand({outputs}), quantizer.spec.lowest() - zero_point,
          quantizer.spec.highest() - zero_point};
}

/// Rounds the rows `group` of the map and lets the rows `free` follow.
void round_group(CompensatedMap& map, const Tensor& metric, const RowGrid& grid, const Tensor& group, const Tensor& free) {
  const Tensor coupling = part(metric, free, group);
  const Tensor follow = at::cholesky_solve(coupling, at::linalg_cholesky(part(metric, free, free)));
  const Tensor left = part(metric, group, group) - at::mm(coupling.t(), follow);

  const Tensor weights = map.rounded.index_select(0, group);
  const Tensor in_steps = weights.t() / grid.step.unsqueeze(1);
  const Tensor indices = refined_indices(in_steps, grid.lowest, grid.highest, left);
  const Tensor rounded = (indices * grid.step.unsqueeze(1)).to(at::kFloat).to(at::kDouble).t();
  map.wanted.index_copy_(0, group, weights);
  map.rounded.index_copy_(0, group, rounded);
  map.rounded.index_add_(0, free, at::mm(follow, rounded - weights), -1);
}

}  // namespace

CompensatedMap compensated_rounding(const Tensor& map, const Tensor& metric, const Quantizer& quantizer) {
  const int64_t inputs = map.size(0) - 1;
  const RowGrid grid = row_grid(quantizer, map.size(1));
  const Tensor order = metric.diagonal().narrow(0, 0, inputs).argsort(/*stable=*/true, 0, /*descending=*/true);
  const Tensor bias = at::full({1}, inputs, order.options());
  CompensatedMap result{map.clone(), map.clone()};
  for (int64_t done = 0; done < inputs;) {
    const int64_t size = (inputs - done + 1) / 2;
    const Tensor group = order.narrow(0, done, size);
    done += size;
    round_group(result, metric, grid, group, at::cat({order.narrow(0, done, inputs - done), bias}));
  }
  result.wanted[inputs].copy_(result.rounded[inputs]);
  return result;
}

}  // namespace eidolon
