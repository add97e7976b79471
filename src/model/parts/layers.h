// The layers that families are built of. Each shows its nodes to the Tap, in forward order.
#pragma once

#include <string>

#include "model/network.h"

namespace eidolon {

/// The product's input, then its weight are shown; then rows_of(input) W^T + b. For maps the result is B x places x outputs.
Tensor multiply(const Network& network, const Product& product, const Tensor& x, const Tap& tap);

/// LayerNorm over the last axis with the parameters "<name>.weight" and "<name>.bias".
Tensor layer_norm(const Network& network, const std::string& name, const Tensor& x, double epsilon);

/// Multi-head attention with joint query, key and value: x is B x N x D, behind the norm. Shows the products' nodes, query,
/// key, value and probabilities. The softmax is computed in float32 at least.
Tensor attend(const Network& network, const Attention& attention, const Tensor& x, const Tap& tap);

}  // namespace eidolon
