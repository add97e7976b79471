// Images that teacher and student disagree on (PSAQ-ViT V2, Li et al., 2023, arXiv 2209.05687): the student is then trained on
// what it has not learnt. The paper's abstract states the game, min over the student and max over the images of the mean
// absolute error of their outputs; every constant here is ours.
#pragma once

#include "synthesis/terms/term.h"

namespace eidolon {

/// With d the mean absolute error between the outputs of teacher and opponent, one value per image:
///   adaptive:  -log(1 + d / d0), d0 the mean of d over the images that the unit starts from. What the student has learnt
///              makes d0 small, and the same disagreement weighs more. The slope falls with d, so that images do not run away.
///   otherwise: -min(d, 1).
Tensor disagreement_loss(const Tensor& distances, double reference, bool adaptive);

/// Figure "distance": d. The teacher must have an opponent.
DrawnTerm draw_disagreement_term(const TermContext& context);

}  // namespace eidolon
