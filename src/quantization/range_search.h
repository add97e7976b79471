// Where the range of a quantizer lies: the search that calibration runs on observed values.
#pragma once

#include "quantization/quantizer.h"

namespace eidolon {

enum class Ranges {
  of_least_squares,
  of_extremes,  ///< the first candidate: from the smallest value to the largest
};

/// The quantizer with the least squared error on `values` (float32), per scale of spec.scaling: of the candidate ranges, which
/// are the percentiles {.97 ... .99999, 1} and shrunken min-max ranges (of blocks and floating-point formats also stretched
/// ones), and of all that the format fits to each. Scales are such as their own format can store; of block scales that follow
/// from the values only the factor is fitted. Zero points are integers. A constant or all-zero channel gets a small positive
/// scale and never NaN. The zero point lies in [lowest, highest]; with `free_zero_point` (per-channel ranges that
/// reparameterization folds away) it may be any integer below 2^20 in magnitude. Rows longer than some thousand values (65521
/// for a whole tensor) are thinned for the squared error, but for their tails. Throws Fault for no values and for NaN or
/// infinity.
Quantizer search_range(const Tensor& values, const QuantizerSpec& spec, bool free_zero_point = false,
                       Ranges ranges = Ranges::of_least_squares);

}  // namespace eidolon
