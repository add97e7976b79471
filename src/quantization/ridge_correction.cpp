#include "quantization/ridge_correction.h"

namespace eidolon {
namespace {

/// Rows' worth of penalty for each input: without it the few rows of a head are followed to the letter.
constexpr double rows_per_input = 10;

/// Of a layer whose inputs are all 0, relative to the rows' weights: any positive number will do.
constexpr double smallest_penalty = 1e-12;

}  // namespace

Tensor regularized(const Gram& gram, double ridge) {
  const int64_t inputs = gram.inputs.size(0) - 1;
  const double further_rows = rows_per_input * static_cast<double>(inputs) / static_cast<double>(gram.rows);
  Tensor h = gram.inputs.clone();
  Tensor weights = h.diagonal().narrow(0, 0, inputs);  // a view: the bias goes unpunished
  const Tensor penalty = ridge * (1 + further_rows) * weights.mean();
  weights.add_(at::maximum(penalty, smallest_penalty * gram.inputs[inputs][inputs]));
  return h;
}

Tensor ridge_corrected(const Gram& gram, const Tensor& map, double ridge) {
  const Tensor residual = gram.outputs - at::mm(gram.inputs, map);
  return map + at::cholesky_solve(residual, at::linalg_cholesky(regularized(gram, ridge)));
}

}  // namespace eidolon
