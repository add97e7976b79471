#include "synthesis/attention_prior.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "numerics/random.h"

namespace eidolon {
namespace {

constexpr int64_t most_components = 5;  ///< K of the paper, whose sweep has its best value there
constexpr double sigma_scale = 0.5;     ///< of sigma ~ U(0.05, 0.25) x grid side; measured: narrower maps align better

struct Gaussian {
  double row, column, sigma_row, sigma_column;
};

/// Writes one map (grid x grid, row major) into `values`.
void draw_map(RandomStream& random, int64_t grid, float* values) {
  const double side = static_cast<double>(grid);
  std::vector<Gaussian> mixture(static_cast<size_t>(1 + random.below(most_components)));
  for (Gaussian& g : mixture) {
    g.row = random.uniform(0.0, side);
    g.column = random.uniform(0.0, side);
    g.sigma_row = random.uniform(0.05, 0.25) * side * sigma_scale;
    g.sigma_column = random.uniform(0.05, 0.25) * side * sigma_scale;
  }
  std::vector<double> exponents(static_cast<size_t>(grid * grid), -std::numeric_limits<double>::infinity());
  for (int64_t i = 0; i < grid * grid; ++i) {
    const double row = static_cast<double>(i / grid) + 0.5, column = static_cast<double>(i % grid) + 0.5;
    for (const Gaussian& g : mixture) {
      const double dy = (row - g.row) / g.sigma_row, dx = (column - g.column) / g.sigma_column;
      exponents[i] = std::max(exponents[i], -0.5 * (dy * dy + dx * dx));
    }
  }
  // Relative to the highest patch: Gaussians much narrower than a patch would otherwise vanish everywhere.
  const double highest = *std::max_element(exponents.begin(), exponents.end());
  double total = 0;
  for (int64_t i = 0; i < grid * grid; ++i) {
    const double height = std::exp(exponents[i] - highest);
    values[i] = static_cast<float>(height);
    total += height;
  }
  for (int64_t i = 0; i < grid * grid; ++i) values[i] = static_cast<float>(values[i] / total);
}

Tensor correlation(const Tensor& a, const Tensor& b) {
  const Tensor x = a - a.mean(-1, true), y = b - b.mean(-1, true);
  const Tensor norms = x.norm(2, -1) * y.norm(2, -1);
  return (x * y).sum(-1) / norms.clamp_min(1e-12);
}

}  // namespace

AttentionPrior AttentionPrior::to(at::Device device) const {
  AttentionPrior moved{first_block, {}};
  for (const Tensor& tensor : maps) moved.maps.push_back(tensor.to(device));
  return moved;
}

AttentionPrior draw_attention_prior(const SynthesisJob& job, const Plan& plan, const Unit& unit) {
  AttentionPrior prior;
  const auto depth = static_cast<int64_t>(plan.attention.size());
  prior.first_block = static_cast<int>(std::max<int64_t>(depth / 2 - 1, 0));  // l = L/2 .. L, counted from 1
  for (int64_t block = prior.first_block; block < depth; ++block) {
    const auto& [heads, grid] = std::pair{plan.attention[block].heads, plan.attention[block].grid};
    Tensor maps = at::empty({unit.images, heads, grid * grid});
    for (int64_t i = 0; i < unit.images * heads; ++i) {
      const int64_t image = unit.first + i / heads, head = i % heads;
      RandomStream random(job.seed, Purpose::prior, image, block * heads + head);
      draw_map(random, grid, maps.mutable_data_ptr<float>() + i * grid * grid);
    }
    prior.maps.push_back(maps);
  }
  return prior;
}

Tensor prior_loss(const AttentionPrior& prior, const std::vector<Tensor>& rows, int64_t depth) {
  Tensor loss;
  for (size_t i = 0; i < prior.maps.size(); ++i) {
    const Tensor row = rows[i].to(at::kFloat);
    const Tensor own = row.select(-1, 0).detach();
    const Tensor target = prior.maps[i] * (1.0 - own).unsqueeze(-1);
    const double weight = static_cast<double>(prior.first_block + static_cast<int64_t>(i) + 1) / static_cast<double>(depth);
    const Tensor term = (row.narrow(-1, 1, row.size(-1) - 1) - target).square().mean(-1).sum(-1) * weight;
    loss = loss.defined() ? loss + term : term;
  }
  return loss;
}

Tensor prior_alignment(const AttentionPrior& prior, const std::vector<Tensor>& rows) {
  Tensor total;
  for (size_t i = 0; i < prior.maps.size(); ++i) {
    const Tensor row = rows[i].to(at::kFloat).narrow(-1, 1, rows[i].size(-1) - 1);
    const Tensor other = at::roll(prior.maps[i], -1, 0);
    const Tensor difference = (correlation(row, prior.maps[i]) - correlation(row, other)).mean(-1);
    total = total.defined() ? total + difference : difference;
  }
  return total / static_cast<double>(prior.maps.size());
}

}  // namespace eidolon
