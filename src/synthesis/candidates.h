// Over-generation: several starts per image, of which the teacher's score keeps one (GenQ's filter, ECCV 2024, on starts).
#pragma once

#include "synthesis/objective.h"

namespace eidolon {

/// Normalised float32 B x C x S x S on the teacher's device. Of the job.overgenerate starts of each image, drawn from streams
/// of its own, the one with the highest score: "confidence" is the largest probability, "energy" is logsumexp of the logits,
/// minus the energy of Liu et al. (2020). Images do not compete with each other, so each is a function of its global index.
Tensor chosen_starts(const SynthesisTeacher& teacher, const SynthesisJob& job, const Unit& unit);

}  // namespace eidolon
