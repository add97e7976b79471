// How much each element of a section's output matters to the teacher's classes: weights of the squared error that a section is
// trained with.
//
// g = d KL(softmax(z / T) || softmax(z' / T)) / d O' at T = 20, where O' is the output of the calibrated section behind the
// quantized ones, z' what the teacher's remaining sections make of it, z the teacher's logits. Around the teacher KL is
// 1/2 e^T H e in the error e = O' - O, so that g = H e: the curvature along the error that is really made. (A uniform
// perturbation of all channels in the place of e would not do: the LayerNorms behind take it away.)
// With token_units both e and g are in units of each token's deviation (model/token_units.h).
//   gradient: loss = sum of G e^2, G the mean of |g| over images, of mean 1 (after APHQ-ViT, Wu et al., CVPR 2025);
//   fisher:   the mean of that and of c (sum of G |e|)^2, a term of rank one, with c such that both are equal before training
//             (after FIMA-Q, Wu et al., CVPR 2025, "diagonal plus low rank", of rank one and without refreshing G).
#pragma once

#include "finetuning/prefix.h"
#include "finetuning/strategy.h"

namespace eidolon {

/// Both of the shape of a section's output for one image. Undefined: every element counts 1, there is no such term.
struct Importance {
  Tensor diagonal;
  Tensor direction;
};

/// g, B x (a section's output), for outputs `output` of `section` in the place of the full-precision ones `exact`.
Tensor class_sensitivity(const VisionTransformer& teacher, int section, const Tensor& exact, const Tensor& output);

/// job.importance for a section, from the first 64 training images of all ranks. `inputs` and `targets` stand in front of the
/// section (quantized) and behind it (full precision). Collective.
Importance measure_importance(const StrategyContext& context, int section, const Prefix& inputs, const Prefix& targets);

/// Sum over images of the weighted squares of `error`, B x (a section's output), in the units of the importance.
Tensor weighted_square(const Importance& importance, const Tensor& error);

}  // namespace eidolon
