#include "quantization/quantizer.h"

#include <vector>

#include "base/error.h"
#include "quantization/float_channels.h"

namespace eidolon {
namespace {

/// How a scale per channel or block stands beside a tensor of `dimensions` axes (to_blocks(): one more than that).
std::vector<int64_t> broadcast_shape(const Scaling& scaling, at::IntArrayRef shape) {
  if (scaling.granularity == Granularity::channel) {
    std::vector<int64_t> broadcast(shape.size(), 1);
    broadcast.at(static_cast<size_t>(scaling.axis)) = -1;
    return broadcast;
  }
  if (scaling.granularity != Granularity::block || scaling.from_values) return {1};
  std::vector<int64_t> broadcast = shape.vec();
  broadcast.back() = 1;
  return broadcast;
}

bool in_calibrated_blocks(const QuantizerSpec& spec) {
  return spec.scaling.granularity == Granularity::block && !spec.scaling.from_values;
}

/// The codes of a floating-point format are sign and magnitude; -0 has a code of its own.
Tensor pattern_of(const Tensor& index, int64_t bits) {
  return at::abs(index).to(at::kLong) + at::signbit(index).to(at::kLong) * (int64_t{1} << (bits - 1));
}

Tensor index_of_pattern(const Tensor& code, int64_t bits, at::ScalarType dtype) {
  const int64_t sign = int64_t{1} << (bits - 1);
  const Tensor negative = at::ge(code, sign), magnitude = (code - negative.to(at::kLong) * sign).to(dtype);
  return at::where(negative, -magnitude, magnitude);
}

void require_calibrated(const QuantizerSpec& spec) {
  if (spec.scaling.granularity == Granularity::block && spec.scaling.from_values)
    throw Fault("codes were asked of a quantizer whose block scales follow from the values; it has none of its own");
}

}  // namespace

Grid grid_of(const Quantizer& quantizer, at::IntArrayRef shape, at::ScalarType dtype) {
  const QuantizerSpec& spec = quantizer.spec;
  const std::vector<int64_t> broadcast = broadcast_shape(spec.scaling, shape);
  const Tensor zero_point = quantizer.zero_point.to(dtype).view(broadcast);
  const auto lowest = static_cast<double>(spec.lowest()), highest = static_cast<double>(spec.highest());
  Grid grid{.scale = quantizer.scale.to(dtype).view(broadcast), .lowest = lowest - zero_point, .highest = highest - zero_point};
  if (quantizer.factor.defined()) grid.scale = grid.scale * quantizer.factor.to(dtype);
  if (quantizer.companding.defined()) grid.companding = quantizer.companding.to(dtype).view(broadcast);
  return grid;
}

Tensor in_units(const Tensor& x, const QuantizerSpec& spec) {
  return spec.scaling.granularity == Granularity::row ? x / row_maxima(x) : x;
}

Tensor quantize_to_codes(const Tensor& x, const Quantizer& quantizer) {
  const at::NoGradGuard no_gradients;
  const QuantizerSpec& spec = quantizer.spec;
  require_calibrated(spec);
  const Tensor integers = without_float_channels(x, quantizer.float_channels);
  const Tensor values = in_calibrated_blocks(spec) ? to_blocks(integers, spec.scaling) : in_units(integers, spec);
  const Grid grid = grid_of(quantizer, values.sizes(), values.scalar_type());
  const Tensor index = spec.format->nearest(values, grid).clamp_min_(grid.lowest).clamp_max_(grid.highest);
  if (index.isnan().any().item<bool>())
    throw Fault("a tensor that is to be stored as integers contains NaN; nothing was coded");
  const Tensor codes = spec.format->fixed_bits > 0 ? pattern_of(index, spec.format->fixed_bits)
                                                   : (index - grid.lowest).to(at::kLong).add_(spec.lowest());
  return in_calibrated_blocks(spec) ? from_blocks(codes, spec.scaling, x.sizes()) : codes;
}

Tensor dequantize(const Tensor& codes, const Quantizer& quantizer) {
  const at::NoGradGuard no_gradients;
  const QuantizerSpec& spec = quantizer.spec;
  require_calibrated(spec);
  const at::ScalarType dtype = quantizer.scale.scalar_type();
  const Tensor stored = in_calibrated_blocks(spec) ? to_blocks(codes, spec.scaling) : codes;
  const Grid grid = grid_of(quantizer, stored.sizes(), dtype);
  const Tensor index = spec.format->fixed_bits > 0 ? index_of_pattern(stored, spec.format->fixed_bits, dtype)
                                                   : (stored - spec.lowest()).to(dtype).add_(grid.lowest);
  const Tensor values = spec.format->value_(index, grid);
  return in_calibrated_blocks(spec) ? from_blocks(values, spec.scaling, codes.sizes()) : values;
}

}  // namespace eidolon
