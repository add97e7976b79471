// The one seam through which a forward pass is seen and changed.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

#include "base/tensor.h"

namespace eidolon {

/// A node of a network: its index in Plan::nodes (model/plan.h), which are in forward order. Files know names only. Below -1 it
/// is a product's output (Product::output), where nothing is ever rounded.
struct NodeId {
  int32_t index = -1;
  auto operator<=>(const NodeId&) const = default;
};

/// Called once per node of a forward pass with the node's tensor. What it returns takes the tensor's place. Synthesis reads
/// attention through it, calibration observes, the student quantizes. An empty Tap is the identity.
using Tap = std::function<Tensor(NodeId, const Tensor&)>;

inline Tensor seen(const Tap& tap, NodeId node, const Tensor& tensor) {
  return tap ? tap(node, tensor) : tensor;
}

}  // namespace eidolon
