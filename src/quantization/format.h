// A number format: which values a quantizer can give, in units of its scale, and how it rounds to them.
//
// A value's grid index is an integer that grows with the value (with its distance from 1 for the logarithmic formats). For
// the formats with a zero point it is the code minus the zero point, so that index 0 is exactly 0.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "quantization/percentile.h"

namespace eidolon {

struct Quantizer;
struct QuantizerSpec;

inline constexpr double usual_shrink_step = 0.02;  ///< between the ranges that range search tries, as a share of the extremes

/// A quantizer's tensors in the dtype of x, shaped to broadcast against it.
struct Grid {
  Tensor scale;   ///< differentiable in Quantizer::scale
  Tensor lowest;  ///< first and last grid index
  Tensor highest;
  Tensor companding{};  ///< the mu-law parameter of `companded`; otherwise undefined
};

/// A grid of one value on the CPU.
struct ElementGrid {
  float scale = 1, lowest = 0, highest = 0;
};

/// First and last code.
struct Codes {
  int64_t lowest = 0, highest = 0;
};

/// One row of the table in formats.cpp. Functions work for float32 and float64 and pass NaN on.
struct Format {
  std::string name;             ///< "uniform", "companded", "e4m3", ...: used in jobs and files
  int64_t fixed_bits = 0;       ///< 0: as many as the job says, 2 to 8
  bool has_zero_point = false;  ///< its codes may be shifted so that both ends of an asymmetric range are reached
  bool is_companded = false;    ///< it has a mu-law parameter beside the scale
  bool is_uniform = false;      ///< equal steps: what closed-form and learned rounding of weights need
  double mean_step = 1;         ///< mean distance of neighbouring values, in scales
  double highest_value = 0;     ///< of a format with fixed bits, in scales

  Codes (*codes)(int64_t bits, bool symmetric) = nullptr;
  Tensor (*nearest)(const Tensor& x, const Grid& grid) = nullptr;     ///< nearest grid index, not yet clamped; a new tensor
  Tensor (*value_)(const Tensor& index, const Grid& grid) = nullptr;  ///< the value of each index, computed in place

  /// dy/dx of the rounded value y where nothing is clamped and the gradient of rounding is 1. Null: 1 everywhere.
  Tensor (*slope)(const Tensor& x, const Tensor& y, const Grid& grid) = nullptr;

  /// The quantizers that fit a range, the most usual first. `free_zero_point`: it may lie outside of the codes.
  std::vector<Quantizer> (*fits)(const Range& range, const QuantizerSpec& spec, bool free_zero_point) = nullptr;

  double shrink_step = usual_shrink_step;

  /// nearest, clamped, its value y and, unless `slope` is null, dy/dx of `count` values that share a grid; null where several
  /// operations on whole tensors do as well.
  void (*round_run)(const float* x, int64_t count, const ElementGrid& grid, float* y, float* slope) = nullptr;

  /// The same three in CUDA, for one element of type T with scale s and mu-law parameter m: nearest(x, s, m),
  /// value(index, s, m, highest), slope(x, y, s). fake_quantize() makes one kernel of them.
  std::string cuda_code{};
};

/// The row of that name; BadInput naming `where` and the names that there are.
const Format& format_named(const std::string& name, const std::string& where);
const std::vector<const Format*>& all_formats();

namespace formats {

extern const Format uniform;    ///< x^ = s i,  i = round(x / s)
extern const Format log2;       ///< x^ = s 2^-i,  i = round(-log2(x / s)), for values in [0, s]
extern const Format log_sqrt2;  ///< x^ = s 2^(-i/2), and the last index stands for exactly 0

/// x^ = sgn(i) s (2^(|i| / m) - 1),  i = round(sgn(x) m log2(1 + |x| / s)): even steps below s, m steps an octave above it, on
/// both sides of an exact 0. This is telephony's mu-law (ITU-T G.711) with a zero point, for heavy-tailed values whose two
/// sides differ, as behind GELU. Cf. AdaLog (arXiv 2407.12951), which shifts them to one side and searches the base.
extern const Format companded;

// OCP OFP8 (Open Compute Project, 8-bit Floating Point Specification, revision 1.0) and the element formats of OCP MX 1.0.
// Rounding is to nearest, ties to even; what exceeds the largest finite value saturates. The sign of zero is kept.
extern const Format e4m3, e5m2, e3m2, e2m3, e2m1;

}  // namespace formats
}  // namespace eidolon
