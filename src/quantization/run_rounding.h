// Rounding on the CPU in one pass over memory, where runs of values share a grid.
#pragma once

#include <optional>
#include <vector>

#include "quantization/format.h"

namespace eidolon {

/// The rounded values y of x and, where asked for, dy/dx, as fake_quantize() defines them and to the bit (but for the sign of
/// zero) what Format::nearest and Format::value_ give. Nothing where the format has no Format::round_run, x is not float32 on
/// the CPU, or values with a grid of their own are not neighbours in memory: then it is done operation by operation.
std::optional<std::vector<Tensor>> rounded_in_runs(const Tensor& x, const Grid& grid, const Format& format, bool with_slope);

}  // namespace eidolon
