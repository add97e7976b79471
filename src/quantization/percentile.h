// Percentiles of long rows: in linear time on the CPU, by sorting elsewhere.
#pragma once

#include <vector>

#include "base/tensor.h"

namespace eidolon {

/// A low and a high value per row.
struct Range {
  Tensor low, high;
};

/// How many of `size` values lie outside of a percentile (0.999) on each side.
int64_t outside(double level, int64_t size);

/// The two-sided percentiles of each row, for ascending levels. `rows`: float32, contiguous, finite, not empty. It is
/// reordered: afterwards the values outside of each level stand at the two ends of their row.
std::vector<Range> percentiles(Tensor& rows, at::ArrayRef<double> levels);

}  // namespace eidolon
