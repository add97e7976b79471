// Learning-rate multipliers: factors of the peak learning rate.
#pragma once

#include <cstdint>

namespace eidolon {

/// Over training: linear from 1/warmup to 1 over `warmup` steps, then half a cosine down to 0 at `total`. `warmup` may
/// be 0; 0 <= step < total.
double warmup_then_cosine(int64_t step, int64_t total, int64_t warmup);

/// Over the depth of a network: `first` in the first quarter of the sections, then geometrically down to 1 at the
/// middle, and 1 in the second half.
double falling_to_the_middle(int section, int sections, double first);

}  // namespace eidolon
