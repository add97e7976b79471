// Block-wise reconstruction: section by section, the quantized section learns to give the full-precision one's output.
#pragma once

#include <vector>

#include "finetuning/phase.h"

namespace eidolon {

/// One phase per section of the plan, "reconstruct/<section>". Loss = squared error against the teacher's section output on the
/// teacher's inputs, summed over tokens and averaged over channels; input = output of the already quantized sections before
/// (SARDFQ and I&S-ViT, arXiv 2412.16553 and 2311.10126). Norms stay frozen. The first sections learn faster
/// (numerics/schedule.h). The job may mix the teacher's inputs in (finetuning/drop.h), weight the error
/// (finetuning/importance.h) and learn the weights' rounding instead of the weights (finetuning/adaround.h). Errors are in
/// units of each token's deviation unless token_units is off. Held-out images are asked for the squared error without any of
/// the others. The phases share caches of what sections are given and shall give; the last one frees them.
std::vector<Phase> reconstruction_phases(const FinetuningJob& job, const Models& models, const PhaseImages& images,
                                         const Communicator& communicator, const CacheBudget& budget);

/// The budget that keeps what every section is given and shall give, on a rank with so many images.
int64_t section_cache_bytes(const Plan& plan, const FinetuningJob& job, int64_t training, int64_t held_out);

}  // namespace eidolon
