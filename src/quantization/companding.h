// The companded quantizer of a range: where its steps begin to widen, and how fast.
#pragma once

#include <vector>

#include "quantization/percentile.h"
#include "quantization/quantizer.h"

namespace eidolon {

/// Steps per octave worth trying at this width, the middle of them first: 2^(bits - 3), with which the outermost value is about
/// a hundred times the innermost at every width, then half octaves to either side.
std::vector<double> octave_step_choices(int64_t bits);

/// The scale with which the codes of `spec` just reach from range.low to range.high (0 is drawn in), and the integer zero point
/// nearest to that; tensors like range.low. With E = 2^(intervals / m), (1 + high / s) (1 + |low| / s) = E has one positive
/// root.
Quantizer companded_quantizer(const Range& range, const QuantizerSpec& spec, double octave_steps);

}  // namespace eidolon
