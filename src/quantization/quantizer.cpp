#include "quantization/quantizer.h"

#include <vector>

#include "base/error.h"
#include "quantization/grid.h"

namespace eidolon {
namespace {

/// Keeps y / x finite at x = 0, where a clamped value's slope of 0 meets it.
constexpr double smallest_divisor = 1e-30;

std::vector<int64_t> broadcast_shape(const QuantizerSpec& spec, int64_t dimensions) {
  if (spec.channel_axis < 0) return {1};
  std::vector<int64_t> shape(static_cast<size_t>(dimensions), 1);
  shape.at(static_cast<size_t>(spec.channel_axis)) = -1;
  return shape;
}

}  // namespace

Grid grid_of(const Quantizer& quantizer, at::IntArrayRef shape, at::ScalarType dtype) {
  const QuantizerSpec& spec = quantizer.spec;
  const std::vector<int64_t> broadcast = broadcast_shape(spec, static_cast<int64_t>(shape.size()));
  const Tensor zero_point = quantizer.zero_point.to(dtype).view(broadcast);
  const auto lowest = static_cast<double>(spec.lowest()), highest = static_cast<double>(spec.highest());
  Grid grid{spec.kind, quantizer.scale.to(dtype).view(broadcast), lowest - zero_point, highest - zero_point};
  if (quantizer.octave_steps.defined()) grid.octave_steps = quantizer.octave_steps.to(dtype).view(broadcast);
  return grid;
}

Tensor row_maxima(const Tensor& x) {
  return x.detach().abs().amax(-1, /*keepdim=*/true).clamp_min_(smallest_divisor);
}

Tensor in_units(const Tensor& x, const QuantizerSpec& spec) {
  return spec.of_row_maximum ? x / row_maxima(x) : x;
}

Tensor nearest_place(const Tensor& x, const Grid& grid) {
  const Tensor ratio = at::div(x, grid.scale);
  if (grid.kind == QuantizerKind::uniform) return ratio.round_();
  if (grid.kind == QuantizerKind::companded) {
    return at::abs(ratio).add_(1).log2_().mul_(grid.octave_steps).copysign_(ratio).round_();
  }
  // Values below zero, which softmax never gives, count as zero: log2 makes them -infinity, the last place.
  return ratio.clamp_min_(0).log2_().mul_(grid.kind == QuantizerKind::log2 ? -1 : -2).round_();
}

Tensor value_of_(Tensor place, const Grid& grid) {
  if (grid.kind == QuantizerKind::uniform) return place.mul_(grid.scale);
  if (grid.kind == QuantizerKind::log2) return place.neg_().exp2_().mul_(grid.scale);
  if (grid.kind == QuantizerKind::companded) {
    return at::abs(place).div_(grid.octave_steps).exp2_().sub_(1).mul_(grid.scale).copysign_(place);
  }
  const Tensor is_zero = at::eq(place, grid.highest);
  return place.mul_(-0.5).exp2_().mul_(grid.scale).masked_fill_(is_zero, 0);
}

Tensor slope_of(const Tensor& x, const Tensor& y, const Grid& grid) {
  if (grid.kind == QuantizerKind::uniform) return {};
  if (grid.kind == QuantizerKind::companded) return at::abs(y).add_(grid.scale).div_(at::abs(x).add_(grid.scale));
  return y / at::clamp_min(x, smallest_divisor);
}

Tensor quantize_to_codes(const Tensor& x, const Quantizer& quantizer) {
  const at::NoGradGuard no_gradients;
  const Grid grid = grid_of(quantizer, x.sizes(), x.scalar_type());
  const Tensor place = nearest_place(in_units(x, quantizer.spec), grid).clamp_min_(grid.lowest).clamp_max_(grid.highest);
  if (place.isnan().any().item<bool>())
    throw Fault("a tensor that is to be stored as integers contains NaN; nothing was coded");
  return place.sub_(grid.lowest).to(at::kLong).add_(quantizer.spec.lowest());
}

Tensor dequantize(const Tensor& codes, const Quantizer& quantizer) {
  const at::NoGradGuard no_gradients;
  const Grid grid = grid_of(quantizer, codes.sizes(), quantizer.scale.scalar_type());
  const Tensor steps = (codes - quantizer.spec.lowest()).to(grid.scale.scalar_type());
  return value_of_(steps.add_(grid.lowest), grid);
}

}  // namespace eidolon
