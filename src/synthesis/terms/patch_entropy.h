// Patch-similarity entropy (PSAQ-ViT, arXiv 2203.02250, section 3.2): patches of a natural image are similar to some and unlike
// others, those of noise are all alike.
#pragma once

#include <string>
#include <vector>

#include "synthesis/terms/term.h"

namespace eidolon {

/// -sum over blocks of H_l, one value per image. H_l is the differential entropy, in nats, of the cosine similarities of an
/// image's patches, in the outputs of block l's attention heads averaged over the heads; of a network without attention in the
/// maps that a section is given.
///
/// outputs: per block B x P x H x D/H, the outputs of the heads for every patch.
/// form "kernel": of the Gaussian kernel density with bandwidth 0.01; "gaussian": 1/2 log(2 pi e variance), its closed form for
/// normally distributed similarities (MaskAQ, arXiv 2606.04373).
///
/// Both take each pair of two patches once: that a patch resembles itself says nothing of the image. PSAQ-ViT's own code
/// keeps those pairs, and samples the density at 10 points between the batch's extremes, which see a third of the similarities;
/// here the density stands on a grid finer than the bandwidth, the same for every image.
Tensor patch_entropy_loss(const std::vector<Tensor>& outputs, const std::string& form);

DrawnTerm draw_entropy_term(const TermContext& context);

}  // namespace eidolon
