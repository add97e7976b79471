// A quantizer: what a node's tensor is rounded to, as values.
#pragma once

#include <cstdint>

#include "base/tensor.h"
#include "quantization/format.h"
#include "quantization/scaling.h"

namespace eidolon {

struct QuantizerSpec {
  const Format* format = &formats::uniform;
  int64_t bits = 8;        ///< 2..8, or the format's own
  bool symmetric = false;  ///< formats with a zero point: it is 0, codes are -2^(b-1)..2^(b-1)-1; otherwise codes are 0..2^b-1
  Scaling scaling = per_tensor;
  int64_t branch_bits = 0;  ///< of a weight's low-rank factors, 8 or 16; 0: there are none

  int64_t lowest() const { return format->codes(bits, symmetric).lowest; }
  int64_t highest() const { return format->codes(bits, symmetric).highest; }
  bool operator==(const QuantizerSpec&) const = default;
};

struct Quantizer {
  QuantizerSpec spec;
  Tensor scale;         ///< float32, one per scale of the scaling (scale_count()), > 0; [1] where scales come from the values
  Tensor zero_point;    ///< float32 holding integers, same shape; zeros where the format has none
  Tensor companding{};  ///< companded: float32 mu-law parameter m > 0, same shape; otherwise undefined
  Tensor factor{};      ///< scales stored as E4M3: float32 [1] > 0 that multiplies them; otherwise undefined

  /// Channels of the last axis that pass unrounded, in ascending order: float32 [n] holding integers; undefined: none. A
  /// runtime multiplies them beside the integers; a weight's codes are 0 there (quantization/float_channels.h).
  Tensor float_channels{};

  /// Of a weight: factors of what is added to it once it is rounded, float32 outputs x r and r x inputs, before their own
  /// rounding (quantization/low_rank.h); undefined: nothing.
  Tensor left{}, right{};

  /// A copy whose tensors went through `change` (moved, cloned, ...).
  template <typename Change>
  Quantizer with(Change change) const {
    const auto changed = [&](const Tensor& tensor) { return tensor.defined() ? change(tensor) : Tensor(); };
    return {spec,          changed(scale), changed(zero_point), changed(companding), changed(factor), changed(float_channels),
            changed(left), changed(right)};
  }
};

/// The grid on which a tensor of `shape` is rounded by calibrated scales. Blocks: the grid of to_blocks().
Grid grid_of(const Quantizer& quantizer, at::IntArrayRef shape, at::ScalarType dtype);

/// Quantize and dequantize, differentiable in `x` and in `quantizer.scale` (straight-through estimator: the gradient of
/// rounding is 1). Equal to autograd of the textbook expression x + (q(x) - x).detach() with round detached the same way.
/// Clamped values pass no gradient to x; what is computed from the values (a row's maximum, a block's scale) counts as a
/// constant. Works for float32 and float64.
Tensor fake_quantize(const Tensor& x, const Quantizer& quantizer);

/// What calibration fits a range to: x, or x in units of its rows' maxima.
Tensor in_units(const Tensor& x, const QuantizerSpec& spec);

/// int64 codes of a calibrated quantizer. dequantize(codes) == fake_quantize(x) exactly where x has the dtype of the scale
/// (float32), but for float channels, whose codes are those of 0, and low-rank factors; for scales of rows it is
/// fake_quantize(x) in units of the row's maximum. Codes are integers from spec.lowest() to spec.highest(); of a floating-point
/// format they are its bit patterns (sign, exponent, mantissa). NaN, which fake_quantize passes on, has no code: Fault.
Tensor quantize_to_codes(const Tensor& x, const Quantizer& quantizer);
Tensor dequantize(const Tensor& codes, const Quantizer& quantizer);

}  // namespace eidolon
