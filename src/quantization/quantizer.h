// A quantizer: what a node's tensor is rounded to, as values.
#pragma once

#include <cstdint>
#include <string>

#include "base/tensor.h"

namespace eidolon {

enum class QuantizerKind {
  uniform,    ///< q = clamp(round(x / s) + z, lowest, highest);  x^ = (q - z) s
  log2,       ///< q = clamp(round(-log2(x / s)), 0, 2^b - 1);    x^ = s 2^-q        (for values in [0, s])
  log_sqrt2,  ///< q = clamp(round(-2 log2(x / s)), 0, 2^b - 1);  x^ = s 2^(-q/2), and the top code stands for exactly 0
  /// q = clamp(round(sgn(x) m log2(1 + |x| / s)) + z, lowest, highest);  x^ = sgn(q - z) s (2^(|q - z| / m) - 1)
  /// Even steps below s, m steps an octave above it, on both sides of an exact 0: telephony's mu-law (ITU-T G.711) with a zero
  /// point. For heavy-tailed values whose two sides differ, as behind GELU; cf. AdaLog (arXiv 2407.12951), which shifts them
  /// to one side and searches the base.
  companded,
};

struct QuantizerSpec {
  QuantizerKind kind = QuantizerKind::uniform;
  int64_t bits = 8;        ///< 2..8
  bool symmetric = false;  ///< uniform, companded: zero point fixed at 0, codes -2^(b-1)..2^(b-1)-1; otherwise codes 0..2^b-1
  int64_t channel_axis = -1;  ///< one scale and zero point per index of this axis; -1: one for the whole tensor
  /// The quantizer is for x in units of the largest |x| of its row (the last axis): x^ = max q^(x / max). For softmax, where
  /// x / max = exp(score - greatest score) is what a kernel computes first and the row's sum divides the product last.
  bool of_row_maximum = false;

  bool has_zero_point() const { return kind == QuantizerKind::uniform || kind == QuantizerKind::companded; }
  int64_t lowest() const { return has_zero_point() && symmetric ? -(int64_t{1} << (bits - 1)) : 0; }
  int64_t highest() const { return lowest() + (int64_t{1} << bits) - 1; }
  bool operator==(const QuantizerSpec&) const = default;
};

struct Quantizer {
  QuantizerSpec spec;
  Tensor scale;           ///< float32, [1] or [channels], > 0
  Tensor zero_point;      ///< float32 holding integers, same shape; zeros where the kind has none
  Tensor octave_steps{};  ///< companded: float32 m > 0, same shape; otherwise undefined

  /// A copy whose tensors went through `change` (moved, cloned, ...).
  template <typename Change>
  Quantizer with(Change change) const {
    return {spec, change(scale), change(zero_point), octave_steps.defined() ? change(octave_steps) : Tensor()};
  }
};

/// Quantize and dequantize, differentiable in `x` and in `quantizer.scale` (straight-through estimator: the gradient of round
/// is 1). Equal to autograd of the textbook expression x + (q(x) - x).detach() with round detached the same way; clamped values
/// pass no gradient to x; a row's maximum counts as a constant. Works for float32 and float64.
Tensor fake_quantize(const Tensor& x, const Quantizer& quantizer);

/// What spec's grid is for: x, or x in units of its rows' maxima.
Tensor in_units(const Tensor& x, const QuantizerSpec& spec);

/// int64 codes; dequantize(codes) == fake_quantize(x) exactly where x has the dtype of the scale (float32); with of_row_maximum
/// it is fake_quantize(x) in units of the row's maximum. NaN, which fake_quantize passes on, has no code: Fault.
Tensor quantize_to_codes(const Tensor& x, const Quantizer& quantizer);
Tensor dequantize(const Tensor& codes, const Quantizer& quantizer);

}  // namespace eidolon
