// Second moments of a linear layer's inputs and wanted outputs: all that a least-squares correction needs to know of the data.
// Sums over rows, so moments of different images, or ranks, are added.
#pragma once

#include "base/tensor.h"

namespace eidolon {

/// A layer of n inputs and m outputs as one matrix, the bias as the weight of a further input that is always 1.
/// `weight`: m x n (or m x ...), `bias`: m. Returns float64 (n + 1) x m.
Tensor affine_map(const Tensor& weight, const Tensor& bias);

/// Rows converted to float64 at a time, so that the copy stays small beside the inputs themselves.
inline constexpr int64_t rows_at_once = 4096;

/// With a = [x, 1] / u for an input row x of unit u, and y / u the output wanted for it, all float64:
struct Gram {
  Tensor inputs;     ///< (n + 1) x (n + 1): sum of a^T a; its last entry is the sum of 1/u^2, the rows' number where u is 1
  Tensor outputs;    ///< (n + 1) x m: sum of a^T y / u
  Tensor energy;     ///< 0-d: sum of |y / u|^2
  int64_t rows = 0;  ///< how many, whatever their units
};

Gram empty_gram(int64_t inputs, int64_t outputs, at::Device device);

/// `x`: rows x n, `y`: rows x m, of any floating type. `units`, if defined, rows x 1: errors of a row count in units of this,
/// as if a and y were divided by it.
void accumulate(Gram& gram, const Tensor& x, const Tensor& y, const Tensor& units = {});

/// sum |y - a map|^2, for a map (n + 1) x m as of affine_map().
double squared_error(const Gram& gram, const Tensor& map);

}  // namespace eidolon
