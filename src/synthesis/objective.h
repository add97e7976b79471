// The synthesis loss of one unit: a weighted sum of terms (SARDFQ's: L = a1 * prior + semantic + crops + w * variation) and of
// images, in which no term couples two images. What has weight 0 is not computed.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "job/job.h"
#include "model/network.h"
#include "model/preprocessing.h"
#include "synthesis/attention_prior.h"
#include "synthesis/semantic_targets.h"
#include "synthesis/start.h"
#include "synthesis/unit.h"
#include "synthesis/views.h"

namespace eidolon {

/// The teacher as synthesis uses it: on the device, in the working precision.
struct SynthesisTeacher {
  Network model;
  Preprocessing preprocessing;

  at::Device device() const { return model.device(); }
  at::ScalarType precision() const { return model.dtype(); }
};

/// Everything drawn for a unit, on the teacher's device.
struct UnitObjective {
  Unit unit;
  SemanticTargets semantics;
  AttentionPrior prior;      ///< empty when switched off
  Tensor variation_targets;  ///< B
  PixelRange valid;          ///< on the device, so that clamping to it copies nothing
};

/// BadInput if the teacher cannot serve a term, or if no term is switched on.
UnitObjective draw_objective(const SynthesisTeacher& teacher, const SynthesisJob& job, const Unit& unit);

/// Unweighted terms, one value per image; undefined when switched off.
struct LossTerms {
  Tensor prior;
  Tensor semantic;                     ///< soft cross entropy of the whole image
  Tensor crops;                        ///< mean soft cross entropy of its crops
  Tensor variation;                    ///< distance of the total variation from its target
  Tensor entropy;                      ///< minus the entropy of patch similarities
  Tensor head_similarity;              ///< how unlike the heads' attention is
  std::vector<Tensor> attention_rows;  ///< of the prior's blocks, B x H x (1 + P), detached
};

/// pixels: normalised float32 B x C x S x S. Whole images and crops go through the teacher as one batch; what no term needs
/// does not go through it. Terms of whole images look through `views`, those of pixels and crops do not.
LossTerms evaluate_objective(const SynthesisTeacher& teacher, const SynthesisJob& job, const UnitObjective& objective,
                             const Tensor& pixels, const Views& views = {});

/// Sum over images of the weighted terms.
Tensor weighted_sum(const LossTerms& terms, const SynthesisJob& job, const Preprocessing& preprocessing);

/// The terms by name, those that are defined.
std::vector<std::pair<std::string, Tensor>> named_terms(const LossTerms& terms);

/// float32 B x K for the shard, and its column names: prior, semantic, semantic_floor (the entropy of the target, which
/// semantic cannot go below), crops, variation, alignment, entropy, head_similarity; 0 for what is switched off.
struct LossTable {
  Tensor values;
  std::vector<std::string> names;
};
LossTable loss_table(const LossTerms& terms, const UnitObjective& objective);

}  // namespace eidolon
