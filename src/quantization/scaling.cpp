#include "quantization/scaling.h"

#include <ATen/ops/frexp.h>

#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "quantization/format.h"

namespace eidolon {
namespace {

/// Keeps x / max finite in rows of zeros.
constexpr double smallest_maximum = 1e-30;
constexpr int smallest_exponent = -126;  ///< of an E8M0 scale that float32 holds as a normal number; E8M0 itself ends at -127
constexpr double smallest_normal = 0x1p-126;  ///< of float32: what blocks of zeros count as
constexpr double smallest_e4m3 = 0x1p-9;
constexpr double smallest_half = 0x1p-14, largest_half = 65504;  ///< normal numbers of float16

constexpr std::array<std::pair<Granularity, const char*>, 4> granularity_names{{{Granularity::tensor, "tensor"},
                                                                                {Granularity::channel, "channel"},
                                                                                {Granularity::block, "block"},
                                                                                {Granularity::row, "row"}}};
constexpr std::array<std::pair<ScaleFormat, const char*>, 4> scale_names{{{ScaleFormat::float32, "float32"},
                                                                          {ScaleFormat::float16, "float16"},
                                                                          {ScaleFormat::e8m0, "e8m0"},
                                                                          {ScaleFormat::e4m3, "e4m3"}}};

template <class Value, size_t n>
std::string name_in(const std::array<std::pair<Value, const char*>, n>& names, Value wanted) {
  for (const auto& [value, name] : names) {
    if (value == wanted) return name;
  }
  return "";
}

template <class Value, size_t n>
std::optional<Value> value_in(const std::array<std::pair<Value, const char*>, n>& names, const std::string& wanted) {
  for (const auto& [value, name] : names) {
    if (name == wanted) return value;
  }
  return std::nullopt;
}

/// The axis of the blocks last, and for axis 1 all axes behind it joined to it.
Tensor blocks_last(const Tensor& x, const Scaling& scaling) {
  return scaling.axis == 1 ? x.flatten(1) : x.movedim(scaling.axis, -1);
}

int64_t blocks_of(int64_t values, int64_t block) {
  return (values + block - 1) / block;
}

/// floor(log2(x)) for x > 0, exactly.
Tensor exponent_of(const Tensor& x) {
  return std::get<1>(at::frexp(x)) - 1;
}

}  // namespace

Scaling per_channel(int64_t axis) {
  return {.granularity = Granularity::channel, .axis = axis};
}

Scaling of_row_maximum() {
  return {.granularity = Granularity::row, .from_values = true};
}

Scaling per_block(int64_t axis, int64_t block, ScaleFormat stored, bool from_values) {
  return {.granularity = Granularity::block, .axis = axis, .block = block, .from_values = from_values, .stored = stored};
}

std::string name_of(Granularity granularity) {
  return name_in(granularity_names, granularity);
}

std::optional<Granularity> granularity_named(const std::string& name) {
  return value_in(granularity_names, name);
}

std::string name_of(ScaleFormat format) {
  return name_in(scale_names, format);
}

std::optional<ScaleFormat> scale_format_named(const std::string& name) {
  return value_in(scale_names, name);
}

int64_t scale_count(const Scaling& scaling, at::IntArrayRef shape) {
  if (scaling.granularity == Granularity::channel) return shape[static_cast<size_t>(scaling.axis)];
  if (scaling.granularity != Granularity::block || scaling.from_values) return 1;
  const auto axes = static_cast<int64_t>(shape.size()), axis = scaling.axis < 0 ? axes + scaling.axis : scaling.axis;
  int64_t along = 1, others = 1;
  for (int64_t i = 0; i < axes; ++i) {
    const bool in_block = i == axis || (axis == 1 && i > axis);
    (in_block ? along : others) *= shape[static_cast<size_t>(i)];
  }
  return others * blocks_of(along, scaling.block);
}

Tensor row_maxima(const Tensor& x) {
  return x.detach().abs().amax(-1, /*keepdim=*/true).clamp_min_(smallest_maximum);
}

Tensor to_blocks(const Tensor& x, const Scaling& scaling) {
  const Tensor rows = blocks_last(x, scaling);
  const int64_t size = rows.size(-1), blocks = blocks_of(size, scaling.block), missing = blocks * scaling.block - size;
  const Tensor whole = missing == 0 ? rows : at::constant_pad_nd(rows, {0, missing});
  std::vector<int64_t> shape = rows.sizes().slice(0, static_cast<size_t>(rows.dim() - 1)).vec();
  shape.insert(shape.end(), {blocks, scaling.block});
  return whole.reshape(shape);
}

Tensor from_blocks(const Tensor& blocks, const Scaling& scaling, at::IntArrayRef shape) {
  const Tensor whole = blocks.flatten(-2);
  if (scaling.axis == 1) {
    int64_t size = 1;
    for (size_t i = 1; i < shape.size(); ++i) size *= shape[i];
    return whole.narrow(-1, 0, size).reshape(shape);
  }
  const auto axis = static_cast<size_t>(scaling.axis < 0 ? static_cast<int64_t>(shape.size()) + scaling.axis : scaling.axis);
  return whole.narrow(-1, 0, shape[axis]).movedim(-1, scaling.axis);
}

Tensor stored_scale(const Tensor& scale, ScaleFormat stored) {
  if (stored == ScaleFormat::float32) return scale;
  if (stored == ScaleFormat::float16) {
    return scale.clamp(smallest_half, largest_half).to(at::kHalf).to(scale.scalar_type());
  }
  if (stored == ScaleFormat::e4m3) {
    const Grid grid{.scale = at::ones({1}, scale.options()), .lowest = {}, .highest = {}};
    const Format& format = formats::e4m3;
    const Tensor index = format.nearest(scale, grid).clamp_max_(format.codes(8, false).highest);
    return format.value_(index, grid).clamp_min_(smallest_e4m3);
  }
  const auto [fraction, exponent] = at::frexp(scale);  // 2^(e-1) has the fraction 1/2
  const Tensor up = at::where(at::eq(fraction, 0.5), exponent - 1, exponent).clamp_min(smallest_exponent);
  return at::exp2(up.to(scale.scalar_type()));
}

Tensor block_scales(const Tensor& blocks, const Scaling& scaling, double highest, const Tensor& factor) {
  const Tensor maxima = blocks.detach().abs().amax(-1, /*keepdim=*/true).clamp_min_(smallest_normal);
  if (scaling.stored == ScaleFormat::float32 || scaling.stored == ScaleFormat::float16) {
    return stored_scale(maxima / highest, scaling.stored);
  }
  if (scaling.stored == ScaleFormat::e4m3) return stored_scale(maxima / (factor * highest), ScaleFormat::e4m3) * factor;
  const Tensor exponent = exponent_of(maxima) - static_cast<int64_t>(std::floor(std::log2(highest)));
  return at::exp2(exponent.clamp_min(smallest_exponent).to(blocks.scalar_type()));
}

}  // namespace eidolon
