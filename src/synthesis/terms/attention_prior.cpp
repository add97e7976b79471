#include "synthesis/terms/attention_prior.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "model/parts/attention.h"
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
    const int64_t i_row = i / grid, i_column = i % grid;
    const double row = static_cast<double>(i_row) + 0.5, column = static_cast<double>(i_column) + 0.5;
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

/// A map B x H x S S as shares of what each token's window holds of it, since a window's attention sums to 1 by itself: tokens
/// of other regions of a shifted window do not count.
Tensor within_windows(const Network& network, const Attention& attention, const Tensor& maps) {
  const Tensor seen = seen_pairs(network, attention).to(maps.scalar_type());  // W x N x N
  const int64_t windows = seen.size(0);
  const Tensor border = at::zeros({maps.size(1)}, maps.options());
  const Tensor cut = cut_into_windows(maps.transpose(1, 2), attention, border).unflatten(0, {-1, windows});  // B x W x N x H
  const Tensor shares = cut / at::matmul(seen, cut).clamp_min(std::numeric_limits<float>::min());
  return join_windows(shares.flatten(0, 1), attention).transpose(1, 2);
}

}  // namespace

AttentionPrior AttentionPrior::to(at::Device device) const {
  AttentionPrior moved{first, depth, {}};
  for (const Tensor& tensor : maps) moved.maps.push_back(tensor.to(device));
  return moved;
}

AttentionPrior draw_attention_prior(uint64_t seed, const std::vector<Attention>& attention, const Unit& unit) {
  AttentionPrior prior;
  prior.depth = static_cast<int64_t>(attention.size());
  prior.first = std::max<int64_t>(prior.depth / 2 - 1, 0);  // l = L/2 .. L, counted from 1
  for (int64_t l = prior.first; l < prior.depth; ++l) {
    const Attention& shape = attention[static_cast<size_t>(l)];
    const int64_t patches = shape.grid * shape.grid;
    Tensor maps = at::empty({unit.images, shape.heads, patches});
    for (int64_t i = 0; i < unit.images * shape.heads; ++i) {
      const int64_t image = unit.first + i / shape.heads, head = i % shape.heads;
      RandomStream random(seed, Purpose::prior, image, l * shape.heads + head);
      draw_map(random, shape.grid, maps.mutable_data_ptr<float>() + i * patches);
    }
    prior.maps.push_back(maps);
  }
  return prior;
}

Tensor prior_loss(const AttentionPrior& prior, const std::vector<Tensor>& rows) {
  Tensor loss;
  for (size_t i = 0; i < prior.maps.size(); ++i) {
    const Tensor row = rows[i].to(at::kFloat);
    const int64_t patches = prior.maps[i].size(-1), prefix = row.size(-1) - patches;
    const Tensor own = row.narrow(-1, 0, prefix).sum(-1).detach();
    const Tensor target = prior.maps[i] * (1.0 - own).unsqueeze(-1);
    const double weight = static_cast<double>(prior.first + static_cast<int64_t>(i) + 1) / static_cast<double>(prior.depth);
    const Tensor term = (row.narrow(-1, prefix, patches) - target).square().mean(-1).sum(-1) * weight;
    loss = loss.defined() ? loss + term : term;
  }
  return loss;
}

Tensor prior_alignment(const AttentionPrior& prior, const std::vector<Tensor>& rows) {
  Tensor total;
  for (size_t i = 0; i < prior.maps.size(); ++i) {
    const int64_t patches = prior.maps[i].size(-1);
    const Tensor row = rows[i].to(at::kFloat).narrow(-1, rows[i].size(-1) - patches, patches);
    const Tensor other = at::roll(prior.maps[i], -1, 0);
    const Tensor difference = (correlation(row, prior.maps[i]) - correlation(row, other)).mean(-1);
    total = total.defined() ? total + difference : difference;
  }
  return total / static_cast<double>(prior.maps.size());
}

AttentionPrior drawn_prior(const SynthesisTeacher& teacher, uint64_t seed, const Unit& unit) {
  const std::vector<Attention>& attention = teacher.plan().attention;
  AttentionPrior prior = draw_attention_prior(seed, attention, unit).to(teacher.device());
  for (size_t i = 0; i < prior.maps.size(); ++i) {
    const Attention& shape = attention[static_cast<size_t>(prior.first) + i];
    if (shape.windows.side > 0) prior.maps[i] = within_windows(teacher.model, shape, prior.maps[i]);
  }
  return prior;
}

DrawnTerm draw_prior_term(const TermContext& context) {
  if (context.teacher.plan().attention.empty()) {
    throw BadInput("synthesis.sardfq.prior_weight shapes attention maps, but the teacher has none; set it to 0");
  }
  const AttentionPrior prior = drawn_prior(context.teacher, context.job.seed, context.unit);
  const auto rows_of = [first = prior.first](const Seen& seen) {
    std::vector<Tensor> rows;
    for (size_t l = static_cast<size_t>(first); l < seen.attention.size(); ++l) rows.push_back(seen.attention[l].class_row);
    return rows;
  };
  return {.loss = [prior, rows_of](const Seen& seen) { return prior_loss(prior, rows_of(seen)); },
          .figure = "alignment",
          .figure_of = [prior, rows_of](const Seen& seen) { return prior_alignment(prior, rows_of(seen)); }};
}

}  // namespace eidolon
