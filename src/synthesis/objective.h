// The synthesis loss of one unit: a weighted sum of terms (synthesis/terms/) and of images, in which no term couples two
// images. What has weight 0 is not computed.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "job/job.h"
#include "synthesis/semantic_targets.h"
#include "synthesis/start.h"
#include "synthesis/synthesis_teacher.h"
#include "synthesis/terms/term.h"
#include "synthesis/unit.h"
#include "synthesis/views.h"

namespace eidolon {

struct ActiveTerm {
  std::string_view name;
  double weight = 0;
  DrawnTerm drawn;
};

/// Everything drawn for a unit, on the teacher's device.
struct UnitObjective {
  Unit unit;
  SemanticTargets semantics;
  std::vector<ActiveTerm> terms;  ///< those of weight other than 0, in the order of terms()
  AttentionParts reads;           ///< of all of them
  bool reads_statistics = false;  ///< some of them
  bool reads_opponent = false;    ///< some of them
  PixelRange valid;               ///< on the device, so that clamping to it copies nothing
  bool recordable = true;         ///< as one graph of a GPU: all terms are, and there are no crops, which are chosen by index
};

/// `start`: the unit's first pixels, where the teacher has an opponent. BadInput if the teacher cannot serve a term.
UnitObjective draw_objective(const SynthesisTeacher& teacher, const SynthesisJob& job, const Unit& unit,
                             const Tensor& start = {});

/// One forward pass. pixels: normalised float32 B x C x S x S. Whole images and crops go through the teacher as one batch. The
/// whole images go through `views`, the crops do not.
Seen look(const SynthesisTeacher& teacher, const UnitObjective& objective, const Tensor& pixels, const Views& views = {});

/// An unweighted term, one value per image.
struct TermLoss {
  std::string_view name;
  double weight = 0;
  Tensor value;
};
std::vector<TermLoss> losses_of(const UnitObjective& objective, const Seen& seen);

/// The sum over images of the weighted terms.
Tensor weighted_sum(const std::vector<TermLoss>& losses);

/// float32 B x K for the shard, and its column names: each term, followed by its figure if it has one ("semantic",
/// "semantic_floor", "prior", "alignment", ...).
struct LossTable {
  Tensor values;
  std::vector<std::string> names;
};
LossTable loss_table(const UnitObjective& objective, const Seen& seen);

}  // namespace eidolon
