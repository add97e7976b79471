// The arithmetic that rounding, coding and decoding share, so that they agree to the last bit.
//
// A value's place on the grid is an integer: for the kinds with a zero point the code minus it, for the log kinds the code.
// Counting from the zero point keeps the numbers small and saves two passes over memory.
#pragma once

#include "base/tensor.h"
#include "quantization/quantizer.h"

namespace eidolon {

/// A quantizer's tensors in the dtype of x, shaped to broadcast against it.
struct Grid {
  QuantizerKind kind;
  Tensor scale;   ///< differentiable in Quantizer::scale
  Tensor lowest;  ///< first and last place
  Tensor highest;
  Tensor octave_steps{};  ///< companded only
};

Grid grid_of(const Quantizer& quantizer, at::IntArrayRef shape, at::ScalarType dtype);

/// Largest |x| of each row of the last axis, kept as a dimension of 1, and never 0. Detached.
Tensor row_maxima(const Tensor& x);

/// Nearest place of each value, not yet clamped. A new tensor; NaN stays NaN.
Tensor nearest_place(const Tensor& x, const Grid& grid);

/// Values of places, computed in place.
Tensor value_of_(Tensor place, const Grid& grid);

/// dy/dx of the rounded value y where nothing is clamped and round passes straight through. Undefined for uniform: 1.
Tensor slope_of(const Tensor& x, const Tensor& y, const Grid& grid);

}  // namespace eidolon
