// The automatic weight of the prior term.
#pragma once

#include "synthesis/objective.h"

namespace eidolon {

/// a1 = |gradient of the semantic terms| / |gradient of the prior term|, on the start of the job's first eight
/// images. Attention entries are near 1/197, so the term's natural size differs tenfold between models; a ratio of gradients
/// does not. Rounded to two digits, so that it does not carry the last bits of one machine.
double balanced_prior_weight(const SynthesisTeacher& teacher, const SynthesisJob& job);

}  // namespace eidolon
