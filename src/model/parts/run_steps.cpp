#include "model/parts/run_steps.h"

#include <cmath>
#include <optional>
#include <utility>
#include <variant>

#include "model/parts/attention.h"
#include "model/parts/layers.h"

namespace eidolon {
namespace {

/// The tokens of 2 x 2 places side by side; the row within the square runs faster than the column.
Tensor merged(const Tensor& x, int64_t grid) {
  const int64_t batch = x.size(0), channels = x.size(2), half = (grid + 1) / 2;
  Tensor map = x.reshape({batch, grid, grid, channels});
  if (grid % 2 == 1) map = at::constant_pad_nd(map, {0, 0, 0, 1, 0, 1});
  return map.reshape({batch, half, 2, half, 2, channels})
      .permute({0, 1, 3, 4, 2, 5})
      .reshape({batch, half * half, 4 * channels});
}

Tensor pooled(const Tensor& x, const steps::Pool& pool) {
  std::vector<Tensor> pieces;
  for (const int64_t token : pool.tokens) pieces.push_back(x.select(1, token));
  if (pool.mean_from) pieces.push_back(x.narrow(1, *pool.mean_from, x.size(1) - *pool.mean_from).mean(1));
  return pieces.size() == 1 ? pieces.front() : at::cat(pieces, -1);
}

Tensor subsampled(const Tensor& x, const steps::Subsample& step) {
  const Tensor kept = x.slice(2, 0, std::nullopt, step.stride).slice(3, 0, std::nullopt, step.stride);
  const int64_t front = step.channels / 2;
  return at::constant_pad_nd(kept, {0, 0, 0, 0, front, step.channels - front});
}

/// The running value, and what open branches kept.
struct Runner {
  const Network& network;
  const Tap& tap;
  Tensor x;
  std::vector<Tensor> kept = {};

  const Product& product(size_t index) const { return network.plan->products[index]; }

  void operator()(const steps::Branch&) { kept.push_back(x); }
  void operator()(const steps::Join&) {
    x = kept.back() + x;
    kept.pop_back();
  }
  void operator()(const steps::Swap&) { std::swap(x, kept.back()); }
  void operator()(const steps::Norm& norm) { x = normalised(network, norm, x); }
  void operator()(const steps::Multiply& step) { x = multiply(network, product(step.product), x, tap); }
  void operator()(const steps::Convolve& step) { x = convolve(network, product(step.product), x, tap); }
  void operator()(const steps::Attend& step) { x = attend(network, network.plan->attention[step.attention], x, tap); }
  void operator()(const steps::Activate& step) { x = activated(step.activation, x); }
  void operator()(const steps::Gate& step) {
    const auto halves = x.chunk(2, -1);
    x = activated(step.activation, halves[0]) * halves[1];
  }
  void operator()(const steps::Prepend& step) {
    const Tensor& tokens = network[step.tokens];
    x = at::cat({tokens.expand({x.size(0), tokens.size(1), tokens.size(2)}), x}, 1);
  }
  void operator()(const steps::Add& step) { x = x + network[step.parameter]; }
  void operator()(const steps::Pool& step) { x = pooled(x, step); }
  void operator()(const steps::PoolByAttention& step) { x = pool_by_attention(network, step, x, tap); }
  void operator()(const steps::Compare& step) {
    const Tensor length = at::linalg_vector_norm(x, 2, at::IntArrayRef{-1}, /*keepdim=*/true);
    x = at::linear(x / length, network[step.rows]);
  }
  void operator()(const steps::Merge& step) { x = merged(x, step.grid); }
  void operator()(const steps::ToMaps&) {
    const auto side = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(x.size(1)))));
    x = x.transpose(1, 2).unflatten(2, {side, side});
  }
  void operator()(const steps::MaxPool& step) {
    x = at::max_pool2d(x, {step.kernel, step.kernel}, {step.stride, step.stride}, {step.padding, step.padding});
  }
  void operator()(const steps::Subsample& step) { x = subsampled(x, step); }
  /// The order of the sum is that of memory. Convolutions on CPUs leave channels last; maps that were kept have lost that.
  void operator()(const steps::MeanPlaces&) {
    x = (x.is_cpu() ? x.contiguous(at::MemoryFormat::ChannelsLast) : x).mean({2, 3});
  }
};

}  // namespace

Tensor run_steps(const Network& network, const std::vector<Step>& steps, const Tensor& x, const Tap& tap) {
  Runner runner{.network = network, .tap = tap, .x = x};
  for (const Step& step : steps) std::visit(runner, step);
  return std::move(runner.x);
}

}  // namespace eidolon
