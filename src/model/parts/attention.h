// Attention, within windows or over all tokens.
#pragma once

#include "model/network.h"

namespace eidolon {

/// Multi-head attention with joint query, key and value: x is B x N x D, behind the norm. Shows the products' nodes, query,
/// key, value and probabilities. The softmax sums in float32 at least, whatever the precision of its scores.
Tensor attend(const Network& network, const Attention& attention, const Tensor& x, const Tap& tap);

/// B x (S S) x C to the windows of the attention, (B W) x N x C, as the pass cuts them. What is added to a grid that does not
/// divide holds `border`, [C].
Tensor cut_into_windows(const Tensor& x, const Attention& attention, const Tensor& border);

/// Undoes it.
Tensor join_windows(const Tensor& windows, const Attention& attention);

/// Which pairs of a window's tokens see each other, W x N x N of 1 and 0: all, but where a shifted window holds several
/// regions.
Tensor seen_pairs(const Network& network, const Attention& attention);

/// Attention with one constant query: x is B x N x D, the result B x D (model/step.h).
Tensor pool_by_attention(const Network& network, const steps::PoolByAttention& pooling, const Tensor& x, const Tap& tap);

}  // namespace eidolon
