// Inter-head similarity (MimiQ, arXiv 2407.20021): on photographs the heads of a layer look at the same parts of an image, on
// noise they do not.
#pragma once

#include <vector>

#include "synthesis/terms/term.h"

namespace eidolon {

/// mean over blocks, queries and pairs of different heads of 1 - SSIM^2, one value per image, in [0, 1]. queries, keys: per
/// block B x H x P x D/H, of the patches, H > 1. A head's map is a patch's row of Q K^T over the patches (before
/// the softmax), brought to [0, 1]; SSIM takes mean, variance and covariance over the whole map, with
/// C1 = 0.01^2 and C2 = 0.03^2. (MaskAQ's code also averages over each head's pair with itself, which is a factor (H - 1) / H.)
Tensor head_similarity_loss(const std::vector<Tensor>& queries, const std::vector<Tensor>& keys);

/// BadInput if an attention has one head.
DrawnTerm draw_head_similarity_term(const TermContext& context);

}  // namespace eidolon
