// The optimisation of the images of one unit: Adam on their pixels, clamped to valid colours after every step.
#pragma once

#include <cstdint>
#include <vector>

#include "numerics/adam.h"
#include "numerics/step_graph.h"
#include "synthesis/objective.h"

namespace eidolon {

/// All that an unfinished unit is: committed to a file now and then, adopted by any rank.
struct UnitState {
  Tensor pixels;  ///< normalised float32 B x C x S x S
  AdamMoments moments;
  int64_t iteration = 0;  ///< iterations done
};

/// `pixels`: as of start_pixels(), or of images that were made before.
UnitState start_unit(const SynthesisTeacher& teacher, const Tensor& pixels);

/// The half of an iteration that a device can record, as a function of the joined views, or of nothing where there are none:
/// the unit's loss, then each term's value per image. Refers to teacher and objective, and shares the storage of `pixels`.
OutputsOf iteration_outputs(const SynthesisTeacher& teacher, const UnitObjective& objective, const Tensor& pixels);

/// One iteration: gradient of the unit's loss, Adam step (betas 0.5, 0.9; warm-up then cosine, anew each round), clamp to valid
/// pixels. The teacher sees the views drawn for the iteration, whose few numbers are copied to the device. Returns the terms
/// before the step; reads nothing back. A `graph` of the unit's own, which teacher, objective and pixels outlive, starts the
/// kernels of an objective that is recordable.
std::vector<TermLoss> optimise_once(const SynthesisTeacher& teacher, const SynthesisJob& job, const UnitObjective& objective,
                                    UnitState& state, StepGraph* graph = nullptr);

/// Adam's rate at an iteration, in normalised units: learning_rate * 0.226 / mean(std) * schedule.
double learning_rate_at(const SynthesisJob& job, const Preprocessing& preprocessing, int64_t iteration);

}  // namespace eidolon
