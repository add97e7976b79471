// What shares a scale, when the scale is chosen, and what it is stored in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/tensor.h"

namespace eidolon {

enum class Granularity { tensor, channel, block, row };

/// The number format of a scale itself.
enum class ScaleFormat {
  float32,
  float16,
  e8m0,  ///< a power of two (OCP MX 1.0)
  e4m3,  ///< of positive E4M3 values, times one float32 for the whole tensor (NVFP4)
};

struct Scaling {
  Granularity granularity = Granularity::tensor;
  int64_t axis = -1;  ///< channel: of the channels. block: along which blocks lie; 1 takes in all axes behind it (a weight's
                      ///< inputs), -1 is the last. Otherwise unused.
  int64_t block = 0;  ///< values in a block; the last block of an axis may hold fewer
  bool from_values = false;  ///< computed from each tensor's own values as a runtime would; false: calibrated once
  ScaleFormat stored = ScaleFormat::float32;

  bool operator==(const Scaling&) const = default;
};

inline constexpr Scaling per_tensor{};
Scaling per_channel(int64_t axis);

/// For softmax, whose x / max = exp(score - greatest score) is what a kernel computes first and whose row sum divides the
/// product last: the quantizer is for x in units of the largest |x| of its row (the last axis).
Scaling of_row_maximum();

Scaling per_block(int64_t axis, int64_t block, ScaleFormat stored = ScaleFormat::float32, bool from_values = false);

/// "tensor", "channel", "block", "row", and back (nothing for another word).
std::string name_of(Granularity granularity);
std::optional<Granularity> granularity_named(const std::string& name);
std::string name_of(ScaleFormat format);
std::optional<ScaleFormat> scale_format_named(const std::string& name);

/// Scales that a calibrated scaling of `shape` has.
int64_t scale_count(const Scaling& scaling, at::IntArrayRef shape);

/// Largest |x| of each row of the last axis, kept as a dimension of 1, and never 0. Detached.
Tensor row_maxima(const Tensor& x);

/// x as blocks: ... x blocks x block, the last block filled up with zeros, and the other axes in front. from_blocks() undoes
/// it.
Tensor to_blocks(const Tensor& x, const Scaling& scaling);
Tensor from_blocks(const Tensor& blocks, const Scaling& scaling, at::IntArrayRef shape);

/// `scale` > 0 rounded to what `stored` can hold, in its own dtype: up to the next power of two, or to the nearest E4M3 or
/// float16 value. Never 0.
Tensor stored_scale(const Tensor& scale, ScaleFormat stored);

/// The scales of blocks from their own values, ... x blocks x 1, for elements whose largest value is `highest`. Detached.
///  E8M0: 2^(floor(log2(max |x|)) - floor(log2(highest))) (OCP MX 1.0, section 6.3); float32: max |x| / highest; E4M3: the
///  nearest E4M3 value to max |x| / (highest factor), times `factor`. Blocks of zeros have the smallest scale.
Tensor block_scales(const Tensor& blocks, const Scaling& scaling, double highest, const Tensor& factor);

}  // namespace eidolon
