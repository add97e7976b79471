// Where a quantizer's range lies: the search that calibration runs on observed values.
#pragma once

#include <string>

#include "quantization/quantizer.h"

namespace eidolon {

enum class RangeMethod { minmax, percentile, mse };
RangeMethod range_method(const std::string& name);  ///< "minmax" | "percentile" | "mse"; else BadInput

/// The quantizer that fits `values` (float32; per spec, whole or per channel along spec.channel_axis).
///  minmax: the extremes. percentile: the 0.9999 percentile (both sides) by sort or selection. mse: the candidate range with
///  the least squared error among percentiles {.97 ... .99999, 1} and shrunken min-max ranges; log kinds search the scale
///  likewise, companded also the steps per octave.
/// Zero points are integers. A constant or all-zero channel gets a small positive scale and never NaN. For per-tensor use the
/// zero point lies in [lowest, highest]; with `free_zero_point` (per-channel ranges that reparameterization folds away) it may
/// be any integer below 2^20 in magnitude. Rows longer than some thousand values (65521 for a whole tensor) are thinned for the
/// squared error, but for their tails. Throws Fault for no values and for NaN or infinity.
Quantizer search_range(const Tensor& values, const QuantizerSpec& spec, RangeMethod method, bool free_zero_point = false);

}  // namespace eidolon
