// RepQ-ViT's scale reparameterization (Li et al., ICCV 2023, arXiv 2212.08254): per-channel quantization of a LayerNorm's
// output, made per-tensor by folding the difference into the LayerNorm's affine and the next linear layer. Lossless in real
// arithmetic.
#pragma once

#include "model/network.h"
#include "quantization/quantizer.h"

namespace eidolon {

/// `per_channel`: scale s and integer zero point z per channel of the output of the norm in front of `product`. With s~ =
/// mean(s), z~ = an integer in [lowest, highest], r1 = s / s~, r2 = z - z~:
///   gamma <- gamma / r1,  beta <- (beta + s r2) / r1,  W[:, c] <- r1[c] W[:, c],  b <- b - W (s r2)      (W before its update)
/// Channels whose scale is below a thousandth of the median (constant or nearly so) take the mean scale of the others and are
/// folded to values near 0. Returns the per-tensor quantizer (s~, z~). Folding is done in float64.
Quantizer reparameterize(Network& network, const Product& product, const Quantizer& per_channel);

}  // namespace eidolon
