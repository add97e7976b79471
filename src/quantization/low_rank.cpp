#include "quantization/low_rank.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"

namespace eidolon {
namespace {

constexpr double damping = 1e-4;            ///< of the mean second moment; channels that are always 0 would be singular
constexpr double smallest_damping = 1e-12;  ///< absolute, for layers whose inputs are all 0
constexpr double byte_steps = 127;

/// The fewest leading values with this share of the sum, at most `rank` and at least one.
int64_t kept_rank(const Tensor& singular_values, const LowRankSettings& settings) {
  const int64_t most = std::min(settings.rank, singular_values.size(0));
  const Tensor shares = singular_values.cumsum(0) / singular_values.sum().clamp_min(smallest_damping);
  const int64_t needed = 1 + at::lt(shares, settings.share).sum().item<int64_t>();
  return std::clamp<int64_t>(needed, 1, most);
}

/// Of the linear layers: sums of squares of each input channel, by the node of the weight.
std::map<NodeId, Tensor> input_energies(const Network& network, const Tensor& images, int64_t batch) {
  std::map<NodeId, Tensor> by_input;
  for (const Product& product : network.plan->products) {
    if (!product.convolution) by_input[product.input];
  }
  for (const Tensor& part : images.split(std::max<int64_t>(1, batch))) {
    forward(network, part, [&](NodeId node, const Tensor& tensor) {
      if (const auto found = by_input.find(node); found != by_input.end()) {
        const Tensor energy = tensor.reshape({-1, tensor.size(-1)}).to(at::kDouble).square().sum(0);
        found->second = found->second.defined() ? found->second + energy : energy;
      }
      return tensor;
    });
  }
  std::map<NodeId, Tensor> by_weight;
  for (const Product& product : network.plan->products) {
    if (!product.convolution && by_input.at(product.input).defined()) by_weight[product.weight] = by_input.at(product.input);
  }
  return by_weight;
}

/// Divides these channels of the norm in front by `factor`, and multiplies their weights by it.
void fold(Network& network, const Product& product, const Tensor& channels, const Tensor& factor) {
  const std::string& weight = network.plan->name(product.weight);
  const Tensor all = at::ones({network[weight].size(1)}, factor.options()).index_copy(0, channels, factor);
  const auto change = [&](const std::string& name, const Tensor& by) {
    Tensor& stored = network.parameters.at(name);
    stored = (stored.to(at::kDouble) * by).to(stored.scalar_type());
  };
  change(product.norm + ".weight", 1 / all);
  change(product.norm + ".bias", 1 / all);
  change(weight, all);
}

}  // namespace

LowRankFactors nearest_of_low_rank(const Tensor& error, const Tensor& metric, const LowRankSettings& settings) {
  const Tensor root = at::linalg_cholesky(metric);
  const auto [u, values, vh] = at::linalg_svd(at::mm(root.t(), error), /*full_matrices=*/false);
  const int64_t rank = kept_rank(values, settings);
  // S^-T U: the columns by which inputs are projected.
  const Tensor projections =
      at::linalg_solve_triangular(root.t(), u.narrow(1, 0, rank), /*upper=*/true, /*left=*/true, /*unitriangular=*/false);
  const Tensor left = vh.narrow(0, 0, rank).t() * values.narrow(0, 0, rank), right = projections.t();
  const Tensor lengths = at::linalg_vector_norm(left, 2, at::IntArrayRef{0}).clamp_min(smallest_damping);
  const Tensor balance = at::sqrt(at::linalg_vector_norm(right, 2, at::IntArrayRef{1}).clamp_min(smallest_damping) / lengths);
  return {.left = (left * balance).to(at::kFloat), .right = (right / balance.unsqueeze(1)).to(at::kFloat)};
}

Tensor centred_moments(const Gram& gram) {
  const int64_t inputs = gram.inputs.size(0) - 1;
  const Tensor sums = gram.inputs[inputs].narrow(0, 0, inputs);
  Tensor moments = gram.inputs.narrow(0, 0, inputs).narrow(1, 0, inputs) - at::outer(sums, sums) / gram.inputs[inputs][inputs];
  Tensor diagonal = moments.diagonal();
  diagonal.add_(diagonal.mean() * damping + smallest_damping * gram.inputs[inputs][inputs]);
  return moments;
}

Tensor stored_factor(const Tensor& factor, int64_t bits) {
  const at::NoGradGuard no_gradients;
  if (bits == half_bits) return factor.to(at::kHalf).to(factor.scalar_type());
  const Tensor step = factor_steps(factor).unsqueeze(1);
  return (factor / step).round() * step;
}

Tensor factor_steps(const Tensor& factor) {
  return factor.detach().abs().amax(1).clamp_min(smallest_damping) / byte_steps;
}

Tensor with_low_rank(const Tensor& rounded, const Quantizer& quantizer) {
  return quantizer.left.defined() ? rounded + low_rank_weight(quantizer, rounded.sizes()) : rounded;
}

Tensor low_rank_weight(const Quantizer& quantizer, at::IntArrayRef shape) {
  const auto stored = [&](const Tensor& factor) {
    const Tensor value = stored_factor(factor, quantizer.spec.branch_bits);
    return factor.requires_grad() ? factor + (value - factor).detach() : value;
  };
  return at::mm(stored(quantizer.left), stored(quantizer.right)).view(shape);
}

std::map<NodeId, Tensor> smooth_channels(Network& network, const Tensor& images, int64_t count, int64_t batch) {
  const at::NoGradGuard no_gradients;
  std::map<NodeId, Tensor> chosen;
  if (count == 0) return chosen;
  const std::map<NodeId, Tensor> energies = input_energies(network, images, batch);
  for (const Product& product : network.plan->products) {
    const auto found = energies.find(product.weight);
    if (found == energies.end()) continue;
    const Tensor of_weight = network[product.weight].to(at::kDouble).square().sum(0);
    const int64_t most = std::min(count, of_weight.size(0));
    const Tensor channels = std::get<0>(std::get<1>((found->second * of_weight).topk(most)).sort());
    chosen[product.weight] = channels;
    if (!network.plan->is_only_reader_of_norm(product)) continue;
    const Tensor size = found->second.index_select(0, channels).sqrt();
    const Tensor smallest = size.min();
    if (smallest.item<double>() > 0) fold(network, product, channels, size / smallest);
  }
  return chosen;
}

double branch_bits(const Quantizer& quantizer) {
  if (!quantizer.left.defined()) return 0;
  constexpr int64_t scale_bits = 32;
  const int64_t rows = quantizer.spec.branch_bits == half_bits ? 0 : quantizer.left.size(0) + quantizer.right.size(0);
  const int64_t factors = quantizer.left.numel() + quantizer.right.numel();
  return static_cast<double>(factors * quantizer.spec.branch_bits + rows * scale_bits);
}

double branch_bits_per_weight(const std::map<NodeId, Quantizer>& quantizers, const Plan& plan) {
  double branches = 0, weights = 0;
  for (const auto& [node, quantizer] : quantizers) {
    if (!plan.is_weight(node)) continue;
    weights += static_cast<double>(c10::multiply_integers(plan.parameters.at(plan.name(node))));
    branches += branch_bits(quantizer);
  }
  return weights > 0 ? branches / weights : 0;
}

}  // namespace eidolon
