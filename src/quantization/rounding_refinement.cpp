#include "quantization/rounding_refinement.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace eidolon {
namespace {

/// A flip must gain so much of the error of one step in its column, or rounding noise would let two flips alternate forever.
constexpr double least_gain = 1e-9;

/// Every flip lowers the error, so none of the 2^n roundings comes twice and the descent ends; that it ends soon is not proved.
/// Rows flip about half of their weights; more flips than this per weight are not worth their time.
constexpr int64_t most_flips_per_weight = 8;

/// One row's descent. Flipping weight j from its grid index to the other changes the error by  2 f_j (S d)_j + f_j^2 S_jj,  f_j
/// being the other index minus this one (always +-1).
struct Row {
  const double* metric;
  int64_t size;
  double* indices;
  std::vector<double> flips;     ///< f
  std::vector<double> gradient;  ///< S d

  double change(int64_t j) const {
    const auto i = static_cast<size_t>(j);
    return 2 * flips[i] * gradient[i] + metric[j * size + j];
  }

  int64_t best() const {
    int64_t found = 0;
    for (int64_t j = 1; j < size; ++j) {
      if (change(j) < change(found)) found = j;
    }
    return found;
  }

  void flip(int64_t j) {
    const double f = flips[static_cast<size_t>(j)];
    indices[j] += f;
    flips[static_cast<size_t>(j)] = -f;
    const double* const column = metric + j * size;  // symmetric, so its row serves as its column
    for (int64_t i = 0; i < size; ++i) gradient[static_cast<size_t>(i)] += f * column[i];
  }
};

void descend(Row& row) {
  for (int64_t flips = 0; flips < most_flips_per_weight * row.size; ++flips) {
    const int64_t j = row.best();
    const bool gains = row.change(j) < -least_gain * row.metric[j * row.size + j];  // never where the metric is NaN
    if (!gains) return;
    row.flip(j);
  }
}

std::vector<double> copied(const Tensor& row) {
  return {row.data_ptr<double>(), row.data_ptr<double>() + row.numel()};
}

}  // namespace

Tensor refined_indices(const Tensor& weight, const Tensor& lowest, const Tensor& highest, const Tensor& metric) {
  const Tensor w = weight.cpu(), low = lowest.cpu().unsqueeze(1), high = highest.cpu().unsqueeze(1);
  const Tensor s = metric.cpu().contiguous();
  const Tensor indices = at::round(w).clamp(low, high).contiguous();
  const Tensor difference = indices - w;
  Tensor flips = at::where(at::gt(difference, 0), -1.0, 1.0);
  const Tensor leaves = at::logical_or(at::lt(indices + flips, low), at::gt(indices + flips, high));
  flips = at::where(leaves, -flips, flips).to(at::kDouble).contiguous();
  const Tensor gradients = at::mm(difference, s).contiguous();

  at::parallel_for(0, w.size(0), 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      Row row{s.data_ptr<double>(), w.size(1), indices.data_ptr<double>() + i * w.size(1), copied(flips[i]),
              copied(gradients[i])};
      descend(row);
    }
  });
  return indices.to(weight.device());
}

}  // namespace eidolon
