// Soft labels and crops: which classes an image shall contain, where, and what the teacher should say (SARDFQ, arXiv
// 2412.16553, multi-semantic reinforcement and soft-label learning).
#pragma once

#include "base/tensor.h"
#include "job/job.h"
#include "synthesis/unit.h"

namespace eidolon {

/// What targets depend on in the teacher.
struct TeacherShape {
  int64_t classes = 0;     ///< 0: it gives features, and images have no targets
  int64_t image_size = 0;  ///< pixels a side
};

/// Drawn once per image and fixed: the class of a region must be stable to emerge. B images, M crops in all, C classes.
struct SemanticTargets {
  Tensor classes;         ///< int32 B x 4, -1 = none
  Tensor class_logits;    ///< float32 B x 4, drawn logits of those classes; 0 where targets are one-hot
  Tensor boxes;           ///< int32 B x 4 x 4, (y, x, height, width) of each crop, -1 = none
  Tensor image_targets;   ///< float32 B x C, probabilities
  Tensor crop_targets;    ///< float32 M x C
  Tensor crop_quadrants;  ///< int64 M, 4 * (image within the unit) + quadrant; see synthesis/crops.h
  Tensor crop_shares;     ///< float32 B x M, 1/m_i where crop belongs to image i: averages crops per image

  int64_t crops() const { return crop_quadrants.size(0); }
  SemanticTargets to(at::Device device) const;
};

/// Images are made for classes that were drawn for them.
bool shows_classes(const SynthesisJob& job);

/// K_MSR of the job: crops per image at most, 0 for methods without crops.
int64_t most_crops(const SynthesisJob& job);

/// Image i has 1 + (i mod K_MSR) crops, in different quadrants, with different classes (none if K_MSR is 0: one class
/// and no crop). Relevant logits ~ U(5, 10), all others N(0, 1), targets softmax of them; without soft labels, equal shares
/// of the relevant classes. BadInput if the teacher has fewer classes than K_MSR.
SemanticTargets draw_semantic_targets(const SynthesisJob& job, const TeacherShape& teacher, const Unit& unit);

}  // namespace eidolon
