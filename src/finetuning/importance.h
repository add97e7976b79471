// How much each element of a section's output matters to the teacher's classes: weights of the squared error that a section is
// trained with.
//
// g = d KL(softmax(z / T) || softmax(z' / T)) / d O' at T = 20, where O' is the output of the calibrated section behind the
// quantized ones, z' what the teacher's remaining sections make of it, z the teacher's logits. Around the teacher KL is
// 1/2 e^T H e in the error e = O' - O, so that g = H e: the curvature along the error that is really made. (A uniform
// perturbation of all channels in the place of e would not do: the LayerNorms behind take it away.)
// With token_units both e and g are in units of each token's deviation (model/token_units.h).
// The loss is the sum of G e^2, G the mean of |g| over images, scaled to a mean of 1 (after APHQ-ViT, Wu et al., CVPR 2025).
#pragma once

#include "finetuning/phase.h"
#include "finetuning/prefix.h"

namespace eidolon {

/// g, B x (a section's output), for outputs `output` of `section` in the place of the full-precision ones `exact`.
Tensor output_sensitivity(const Network& teacher, int section, const Tensor& exact, const Tensor& output);

/// What stands in front of a section (quantized) and behind it (full precision), and in which units errors count.
struct SectionData {
  const Prefix& inputs;
  const Prefix& targets;
  bool token_units = true;
};

/// G of a section, of the shape of its output for one image, from the first 64 training images of all ranks. Collective.
Tensor measure_importance(const Models& models, const SyntheticImages& images, const Communicator& communicator, int section,
                          const SectionData& data);

/// Sum over images of the weighted squares of `error`, B x (a section's output), in the units of the importance. Without an
/// importance (undefined) every element counts 1.
Tensor weighted_square(const Tensor& importance, const Tensor& error);

}  // namespace eidolon
