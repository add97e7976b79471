// The semantic term: the teacher shall see the classes that were drawn for an image.
#pragma once

#include "synthesis/terms/term.h"

namespace eidolon {

/// -sum over classes of T log p, one value per row. logits: rows x classes, of any floating type; targets: probabilities,
/// float32. In float32.
Tensor soft_cross_entropy(const Tensor& logits, const Tensor& targets);

/// Of whole images. Figure "semantic_floor": the entropy of the target, below which the term cannot go.
DrawnTerm draw_semantic_term(const TermContext& context);

}  // namespace eidolon
