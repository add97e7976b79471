// Attention, within windows or over all tokens.
#pragma once

#include "model/network.h"

namespace eidolon {

/// Multi-head attention with joint query, key and value: x is B x N x D, behind the norm. Shows the products' nodes, query,
/// key, value and probabilities. The softmax is computed in float32 at least.
Tensor attend(const Network& network, const Attention& attention, const Tensor& x, const Tap& tap);

/// Attention with one constant query: x is B x N x D, the result B x D (model/step.h).
Tensor pool_by_attention(const Network& network, const steps::PoolByAttention& pooling, const Tensor& x, const Tap& tap);

}  // namespace eidolon
