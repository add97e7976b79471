// The synthesis loss of one unit (SARDFQ): L = a1 * prior + semantic + crops + w * variation, a sum over images in which no
// term couples two of them.
#pragma once

#include <string>
#include <vector>

#include "job/job.h"
#include "model/preprocessing.h"
#include "model/vision_transformer.h"
#include "synthesis/attention_prior.h"
#include "synthesis/semantic_targets.h"
#include "synthesis/unit.h"

namespace eidolon {

/// The teacher as synthesis uses it: on the device, in the working precision.
struct SynthesisTeacher {
  VisionTransformer model;
  Preprocessing preprocessing;

  at::Device device() const { return model["cls_token"].device(); }
  at::ScalarType precision() const { return model["cls_token"].scalar_type(); }
};

/// Everything drawn for a unit, on the teacher's device.
struct UnitObjective {
  SemanticTargets semantics;
  AttentionPrior prior;
  Tensor variation_targets;  ///< B
};

UnitObjective draw_objective(const SynthesisTeacher& teacher, const SynthesisJob& job, const Unit& unit);

/// Unweighted terms, one value per image.
struct LossTerms {
  Tensor prior;     ///< undefined when switched off (weight 0)
  Tensor semantic;  ///< soft cross entropy of the whole image
  Tensor crops;     ///< mean soft cross entropy of its crops; undefined without crops
  Tensor variation;
  std::vector<Tensor> attention_rows;  ///< of the prior's blocks, B x H x (1 + P), detached
};

/// pixels: normalised float32 B x C x S x S. Whole images and crops go through the teacher as one batch.
LossTerms evaluate_objective(const SynthesisTeacher& teacher, const SynthesisJob& job, const UnitObjective& objective,
                             const Tensor& pixels);

/// Sum over images of the weighted terms.
Tensor weighted_sum(const LossTerms& terms, const SynthesisJob& job, const Preprocessing& preprocessing);

/// float32 B x K for the shard, and its column names: prior, semantic, semantic_floor (the entropy of the target, which
/// semantic cannot go below), crops, variation, alignment.
struct LossTable {
  Tensor values;
  std::vector<std::string> names;
};
LossTable loss_table(const LossTerms& terms, const UnitObjective& objective);

}  // namespace eidolon
