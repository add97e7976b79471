// Runs the steps of a section on tensors.
#pragma once

#include <vector>

#include "model/network.h"
#include "model/step.h"

namespace eidolon {

/// What the steps make of x. The nodes that they pass are shown to the Tap in forward order.
Tensor run_steps(const Network& network, const std::vector<Step>& steps, const Tensor& x, const Tap& tap);

}  // namespace eidolon
