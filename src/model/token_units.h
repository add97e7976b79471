// The unit in which a token's error is measured.
#pragma once

#include "base/tensor.h"

namespace eidolon {

/// error / sigma, with sigma the standard deviation of `target`'s channels, token by token: what reads the residual stream is a
/// LayerNorm, which divides by it. Without it a handful of tokens decides what is learned: a ViT's registers of massive
/// activations (Darcet et al., ICLR 2024, arXiv 2309.16588) exceed the others by a factor of fifty.
///  error, target: B x N x D, tokens; anything else (logits) is left in its own unit.
Tensor in_token_units(const Tensor& error, const Tensor& target);

/// sigma, B x N x 1, at least 1e-6; 1 for what is no tokens.
Tensor token_deviation(const Tensor& target);

}  // namespace eidolon
