// What the formats share: scales that fit a range, and codes that are integers.
#pragma once

#include "quantization/quantizer.h"

namespace eidolon::formats {

inline constexpr double smallest_scale = 1e-8;

/// 2^b codes; from 0, or around it.
Codes integer_codes(int64_t bits, bool symmetric);
/// 2^b codes from 0, whatever `symmetric` says: for values that are never negative.
Codes unsigned_codes(int64_t bits, bool symmetric);

}  // namespace eidolon::formats
