// Mean and deviation of a convolution's outputs, as the terms of synthesis read them.
#pragma once

#include <vector>

#include "model/plan.h"

namespace eidolon {

/// A Tap that fills `statistics`, one entry for every product whose outputs are shown: 2 x outputs, float32, over the first
/// `images` images and all places. `inner` sees all other nodes. Both must outlive it.
Tap statistics_tap(const Plan& plan, int64_t images, std::vector<Tensor>& statistics, Tap inner);

}  // namespace eidolon
