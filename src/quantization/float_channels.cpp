#include "quantization/float_channels.h"

#include <algorithm>
#include <vector>

namespace eidolon {
namespace {

constexpr double bit_gained = 0.5;  ///< of the range

}  // namespace

Tensor outlier_channels(const Tensor& low, const Tensor& high, int64_t most) {
  const at::NoGradGuard no_gradients;
  const int64_t tried = std::min(most, low.numel() - 1);
  if (tried < 1) return {};
  const Tensor order = at::argsort(at::maximum(low.abs(), high.abs()), /*dim=*/0, /*descending=*/true).cpu();
  // ranges[k]: what the channels span without the first k of them; 0 is always in it.
  std::vector<double> ranges;
  for (int64_t k = 0; k <= tried; ++k) {
    const Tensor rest = order.slice(0, k).to(low.device());
    const double above = high.index_select(0, rest).max().clamp_min(0).item<double>();
    const double below = low.index_select(0, rest).min().clamp_max(0).item<double>();
    ranges.push_back(above - below);
  }
  int64_t taken = 0;
  for (int64_t k = 1; k <= tried; ++k) {
    const auto at = [&](int64_t i) { return ranges[static_cast<size_t>(i)]; };
    if (at(k) < bit_gained * at(taken)) taken = k;
  }
  if (taken == 0) return {};
  return std::get<0>(order.slice(0, 0, taken).sort()).to(at::kFloat).to(low.device());
}

Tensor with_float_channels(const Tensor& rounded, const Tensor& exact, const Tensor& channels) {
  if (!channels.defined()) return rounded;
  const Tensor indices = channels.to(at::kLong);
  return rounded.index_copy(-1, indices, exact.index_select(-1, indices));
}

Tensor without_float_channels(const Tensor& x, const Tensor& channels) {
  return channels.defined() ? x.index_fill(-1, channels.to(at::kLong), 0) : x;
}

}  // namespace eidolon
