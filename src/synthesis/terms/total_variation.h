// Total variation with a target: images should be as rough as photographs, neither smoother nor rougher.
#pragma once

#include "synthesis/terms/term.h"

namespace eidolon {

/// | ||dx|| + ||dy|| + ||d1|| + ||d2|| - v | per image: L2 norms of the horizontal, vertical and both diagonal differences
/// (PSAQ-ViT's form, arXiv 2203.02250, taken per image so that an image does not depend on its batch). images: B x C x S x S;
/// targets: B.
Tensor total_variation_loss(const Tensor& images, const Tensor& targets);

/// v ~ U(442, 530) for 3 x 224 x 224 pixels normalised by ImageNet's constants (mean std 0.226), times variation_scale().
Tensor draw_variation_targets(uint64_t seed, const Preprocessing& preprocessing, const Unit& unit);

/// sqrt(C S S / 150528) * 0.226 / mean(std): what the norms above grow by at another image size or normalisation. The term's
/// weight is divided by it, so that its meaning stays.
double variation_scale(const Preprocessing& preprocessing);

DrawnTerm draw_variation_term(const TermContext& context);

}  // namespace eidolon
