// The generator of synthesis.method = "generator": trained by all ranks together, in front of the units.
#pragma once

#include "base/error.h"
#include "stages/run_context.h"

namespace eidolon {

/// Trains the generator, or waits for the launch that does; nothing where it is finished or has no image left to make. From
/// then on its hash belongs to context.identity. ExitCode::again if it was stopped; its state is then on disk. Collective.
/// Fault if a loss is not finite, BadInput if the images that are there came from another generator.
ExitCode train_generator(RunContext& context);

/// Seconds of one training step of one rank, in a rehearsal.
double seconds_of_generator_step(const RunContext& context);

}  // namespace eidolon
