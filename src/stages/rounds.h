// The rounds of a job whose images are set against its student (synthesis.method = "psaq_v2").
//
// Round r makes images from those of round r - 1, against the student of round r - 1, and then a student of its own. Each is
// what the same job with synthesis.psaq_v2.cycles = r makes, and has a run directory of its own, rounds/<r>; the last round is
// the run itself. Its identity holds that of the student before, so what follows a change is another job's, and refused as
// such.
#pragma once

#include <memory>

#include "base/error.h"
#include "stages/run_context.h"

namespace eidolon {

/// The earlier rounds of a run that is about to start, with the identities of what they made or would make. Only reads.
/// Collective.
void open_rounds(RunContext& context);

/// Makes the images and the student of every earlier round that is not finished. Collective.
ExitCode finish_earlier_rounds(RunContext& context);

/// The student of the round before as synthesis sees it, on the device; null for the first round. Collective.
std::shared_ptr<const Opponent> opponent_of(const RunContext& context);

}  // namespace eidolon
