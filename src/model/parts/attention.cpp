#include "model/parts/attention.h"

#include <cmath>
#include <string>
#include <vector>

#include "model/parts/layers.h"

namespace eidolon {
namespace {

/// The tokens behind the prefix turned: x cos + r(x) sin, where r maps [a, b] to [-b, a] in halves or in neighbours (Su et al.,
/// 2021, arXiv 2104.09864).
Tensor rotated(const Tensor& x, const Tensor& table, int64_t prefix, bool halves) {
  const Tensor cosines = table[0], sines = table[1];
  const Tensor turning = x.narrow(2, prefix, x.size(2) - prefix);
  const Tensor pairs = halves ? turning.unflatten(-1, {2, -1}) : turning.unflatten(-1, {-1, 2});
  const int64_t axis = halves ? -2 : -1;
  const Tensor quarter = at::stack({-pairs.select(axis, 1), pairs.select(axis, 0)}, axis).flatten(-2);
  const Tensor turned = turning * cosines + quarter * sines;
  return prefix == 0 ? turned : at::cat({x.narrow(2, 0, prefix), turned}, 2);
}

/// A query or key as the product of the two sees it.
Tensor prepared(const Network& network, const Attention& attention, const std::string& norm, const Tensor& x) {
  Tensor result = x;
  if (!norm.empty()) result = normalised(network, {norm, attention.epsilon, attention.centred}, result);
  if (attention.rotation.empty()) return result;
  return rotated(result, network[attention.rotation], attention.prefix_tokens, attention.rotates_halves);
}

Tensor scores_of(const Network& network, const Attention& attention, const Tensor& query, const Tensor& key) {
  const double scale = 1.0 / std::sqrt(static_cast<double>(query.size(-1)));
  Tensor scores = at::matmul(query * scale, key.transpose(-2, -1));
  if (!attention.bias.empty()) scores = scores + network[attention.bias];
  if (attention.windows.mask.empty()) return scores;
  const Tensor& mask = network[attention.windows.mask];
  const auto sizes = scores.sizes().vec();
  return (scores.unflatten(0, {-1, mask.size(0)}) + mask.unsqueeze(1)).reshape(sizes);
}

/// One kernel that never stores the probabilities, for passes that nobody looks into. On CUDA it is deterministic where
/// LibTorch is told to be; on the CPU the steps stay, whose bits the images made so far have.
bool may_be_fused(const Attention& attention, const Tensor& query, const Tap& tap) {
  const bool half = query.scalar_type() == at::kBFloat16 || query.scalar_type() == at::kHalf;
  return !tap && half && query.is_cuda() && attention.bias.empty() && attention.windows.mask.empty();
}

}  // namespace

Tensor cut_into_windows(const Tensor& x, const Attention& attention, const Tensor& border) {
  const auto& [side, shift, rolled_first, mask] = attention.windows;
  const int64_t grid = attention.grid, batch = x.size(0), channels = x.size(2);
  const int64_t across = (grid + side - 1) / side, lack = across * side - grid;
  const auto rolled = [by = shift](const Tensor& map) { return by == 0 ? map : at::roll(map, {-by, -by}, {1, 2}); };
  Tensor map = x.reshape({batch, grid, grid, channels});
  if (rolled_first) map = rolled(map);
  if (lack > 0) {
    const Tensor filling = border.reshape({1, 1, 1, channels});
    map = at::cat({map, filling.expand({batch, grid, lack, channels})}, 2);
    map = at::cat({map, filling.expand({batch, lack, grid + lack, channels})}, 1);
  }
  if (!rolled_first) map = rolled(map);
  return map.reshape({batch, across, side, across, side, channels})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({batch * across * across, side * side, channels});
}

Tensor join_windows(const Tensor& windows, const Attention& attention) {
  const auto& [side, shift, rolled_first, mask] = attention.windows;
  const int64_t grid = attention.grid, across = (grid + side - 1) / side, channels = windows.size(2);
  const auto back = [by = shift](const Tensor& map) { return by == 0 ? map : at::roll(map, {by, by}, {1, 2}); };
  const auto cropped = [grid](const Tensor& map) { return map.narrow(1, 0, grid).narrow(2, 0, grid); };
  const Tensor map = windows.reshape({-1, across, across, side, side, channels})
                         .permute({0, 1, 3, 2, 4, 5})
                         .reshape({-1, across * side, across * side, channels});
  return (rolled_first ? back(cropped(map)) : cropped(back(map))).reshape({-1, grid * grid, channels});
}

Tensor seen_pairs(const Network& network, const Attention& attention) {
  constexpr double between = -50;  // masks have 0 and -100
  const int64_t windows = attention.window_count(), tokens = attention.tokens();
  const at::TensorOptions options = at::TensorOptions(network.dtype()).device(network.device());
  if (attention.windows.mask.empty()) return at::ones({windows, tokens, tokens}, options);
  return at::gt(network[attention.windows.mask], between).to(network.dtype());
}

Tensor attend(const Network& network, const Attention& attention, const Tensor& x, const Tap& tap) {
  const std::vector<Product>& products = network.plan->products;
  const bool is_cut = attention.windows.side > 0;
  Tensor qkv = multiply(network, products[attention.qkv], x, tap);
  if (is_cut) qkv = cut_into_windows(qkv, attention, network[products[attention.qkv].bias]);
  const int64_t images = qkv.size(0), tokens = qkv.size(1), heads = attention.heads, width = qkv.size(2) / 3;

  // Unbound, since the gradient of three selections fills and adds three tensors of the size of all.
  const std::vector<Tensor> split = qkv.reshape({images, tokens, 3, heads, width / heads}).permute({2, 0, 3, 1, 4}).unbind();
  const Tensor query = seen(tap, attention.query, prepared(network, attention, attention.query_norm, split[0]));
  const Tensor key = seen(tap, attention.key, prepared(network, attention, attention.key_norm, split[1]));
  const Tensor value = seen(tap, attention.value, split[2]);

  Tensor mixed =
      may_be_fused(attention, query, tap)
          ? at::scaled_dot_product_attention(query, key, value)
          : at::matmul(seen(tap, attention.probabilities, at::softmax(scores_of(network, attention, query, key), -1)), value);
  mixed = mixed.transpose(1, 2).reshape({images, tokens, width});
  if (is_cut) mixed = join_windows(mixed, attention);
  if (!attention.inner_norm.empty()) {
    mixed = normalised(network, {attention.inner_norm, attention.epsilon, attention.centred}, mixed);
  }
  return multiply(network, products[attention.proj], mixed, tap);
}

Tensor pool_by_attention(const Network& network, const steps::PoolByAttention& pooling, const Tensor& x, const Tap& tap) {
  const std::vector<Product>& products = network.plan->products;
  const Tensor kv = multiply(network, products[pooling.kv], x, tap);
  const int64_t batch = kv.size(0), tokens = kv.size(1), width = kv.size(2) / 2;

  const std::vector<Tensor> split =
      kv.reshape({batch, tokens, 2, pooling.heads, width / pooling.heads}).permute({2, 0, 3, 1, 4}).unbind();
  const Tensor key = seen(tap, pooling.key, split[0]);
  const Tensor value = seen(tap, pooling.value, split[1]);
  const Tensor& query = network[pooling.query];
  const double scale = 1.0 / std::sqrt(static_cast<double>(query.size(-1)));
  const Tensor probabilities =
      seen(tap, pooling.probabilities, at::softmax(at::matmul(query * scale, key.transpose(-2, -1)), -1));
  const Tensor mixed = at::matmul(probabilities, value).transpose(1, 2).reshape({batch, width});
  return multiply(network, products[pooling.proj], mixed, tap);
}

}  // namespace eidolon
