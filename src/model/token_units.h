// The unit in which the error of a token is measured.
#pragma once

#include "base/tensor.h"
#include "model/plan.h"

namespace eidolon {

/// sigma, the standard deviation of `target`'s channels for each token: B x N x 1, at least 1e-6. What reads the residual
/// stream is a LayerNorm, which divides by it. Without this unit a few tokens decide what is learned: a ViT's registers of
/// massive activations (Darcet et al., ICLR 2024, arXiv 2309.16588) exceed the others by a factor of fifty.
/// For any layout but tokens it is 1.
Tensor token_deviation(const Tensor& target, Layout layout);

/// error / sigma of `target`; both of the same shape.
Tensor in_token_units(const Tensor& error, const Tensor& target, Layout layout);

}  // namespace eidolon
