// Bias correction: the mean error of each output channel goes into the bias (Nagel et al., ICCV 2019, arXiv 1906.04721).
#pragma once

#include "quantization/gram.h"

namespace eidolon {

/// Sums over the rows that a layer multiplies, a row of unit u weighted by 1/u^2. A layer is linear, so the mean error of its
/// outputs depends on nothing else: neither outputs nor second moments are needed. All float64.
struct InputSums {
  Tensor exact;    ///< n: of the inputs before their rounding
  Tensor rounded;  ///< n: of the inputs after it
  Tensor weight;   ///< 0-d: of the weights 1/u^2
};

InputSums empty_sums(int64_t inputs, at::Device device);

/// `exact`, `rounded`: rows x n, of any floating type; `units`: rows x 1, or undefined: 1.
void accumulate(InputSums& sums, const Tensor& exact, const Tensor& rounded, const Tensor& units = {});

/// The mean over rows of W x - W' x', with W and x before their rounding, W' and x' after it: float64 m, what the bias lacks.
///  weight, rounded_weight: m x n (or m x ...).
Tensor mean_error(const InputSums& sums, const Tensor& weight, const Tensor& rounded_weight);

/// `map` with the bias for which the outputs' mean over the Gram's rows is the mean of the outputs wanted.
Tensor bias_corrected(const Gram& gram, const Tensor& map);

}  // namespace eidolon
