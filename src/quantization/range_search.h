// Where a quantizer's range lies: the search that calibration runs on observed values.
#pragma once

#include "quantization/percentile.h"
#include "quantization/quantizer.h"

namespace eidolon {

/// The quantizer whose grid spans `range` (per row of it), with an integer zero point. Uniform ranges are widened to hold 0
/// unless the zero point is free; companded ones take the first of their choices of curvature.
Quantizer quantizer_of(const Range& range, const QuantizerSpec& spec, bool free_zero_point);

/// The quantizer with the least squared error on `values` (float32; per spec, whole or per channel along spec.channel_axis).
/// Candidates are the ranges between percentiles {.97 ... .99999, 1} and shrunken ranges between the extremes; log kinds
/// search the scale likewise, companded ones also their curvature.
/// Zero points are integers. A constant or all-zero channel gets a small positive scale and never NaN. For per-tensor use the
/// zero point lies in [lowest, highest]; with `free_zero_point` (per-channel ranges that reparameterization folds away) it may
/// be any integer below 2^20 in magnitude. Rows longer than some thousand values (65521 for a whole tensor) are thinned for the
/// squared error, but for their tails. Throws Fault for no values and for NaN or infinity.
Quantizer search_range(const Tensor& values, const QuantizerSpec& spec, bool free_zero_point = false);

}  // namespace eidolon
