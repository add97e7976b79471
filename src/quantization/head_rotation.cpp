#include "quantization/head_rotation.h"

#include <cmath>
#include <numbers>
#include <string>
#include <vector>

namespace eidolon {
namespace {

/// Orthonormal DCT-II, one basis vector per column.
Tensor cosine_transform(int64_t n) {
  const Tensor position = at::arange(n, at::kDouble).add_(0.5), frequency = at::arange(n, at::kDouble);
  const auto size = static_cast<double>(n);
  const Tensor basis = at::cos(at::outer(position, frequency) * (std::numbers::pi / size)) * std::sqrt(2.0 / size);
  basis.select(1, 0).mul_(std::sqrt(0.5));
  return basis;
}

/// D' x D weights (or [D'] biases) whose outputs are heads of size R: each head's outputs times R.
Tensor outputs_rotated(const Tensor& weight, const Tensor& rotation) {
  const Tensor heads = weight.to(at::kDouble).reshape({-1, rotation.size(0), weight.dim() > 1 ? weight.size(1) : 1});
  return at::matmul(rotation.t(), heads).reshape(weight.sizes()).to(weight.scalar_type());
}

Tensor inputs_rotated(const Tensor& weight, const Tensor& rotation) {
  const Tensor heads = weight.to(at::kDouble).reshape({weight.size(0), -1, rotation.size(0)});
  return at::matmul(heads, rotation).reshape(weight.sizes()).to(weight.scalar_type());
}

}  // namespace

Tensor spreading_rotation(int64_t n) {
  Tensor hadamard = at::ones({1, 1}, at::kDouble);
  const Tensor doubled = at::tensor({1.0, 1.0, 1.0, -1.0}, at::kDouble).view({2, 2}) * std::sqrt(0.5);
  for (; n % 2 == 0; n /= 2) hadamard = at::kron(doubled, hadamard);
  return at::kron(hadamard, cosine_transform(n));
}

void rotate_heads(Network& network) {
  const at::NoGradGuard no_gradients;
  const Plan& plan = *network.plan;
  for (const Attention& attention : plan.attention) {
    const Product &qkv = plan.products[attention.qkv], &proj = plan.products[attention.proj];
    const int64_t head = network[qkv.weight].size(0) / (3 * attention.heads);
    const Tensor rotation = spreading_rotation(head).to(network.device());
    // What stands between a projection and its product must not see the rotation.
    const bool turns_scores = attention.query_norm.empty() && attention.key_norm.empty() && attention.rotation.empty();
    const bool turns_values = attention.inner_norm.empty();
    for (const std::string& name : {plan.name(qkv.weight), qkv.bias}) {
      Tensor& parameter = network.parameters.at(name);
      std::vector<Tensor> parts = parameter.chunk(3);
      for (int64_t part = 0; part < 3; ++part) {
        Tensor& rows = parts[static_cast<size_t>(part)];
        if (part < 2 ? turns_scores : turns_values) rows = outputs_rotated(rows, rotation);
      }
      parameter = at::cat(parts);
    }
    if (!turns_values) continue;
    Tensor& weight = network.parameters.at(plan.name(proj.weight));
    weight = inputs_rotated(weight, rotation);
  }
}

}  // namespace eidolon
