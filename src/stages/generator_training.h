// The generator of synthesis.method = "generator": trained by all ranks together, in front of the units.
#pragma once

#include <string>

#include "base/error.h"
#include "finetuning/image_stream.h"
#include "stages/run_context.h"
#include "synthesis/generator.h"

namespace eidolon {

/// Trains the generator, or waits for the launch that does; nothing where it is finished or has no image left to make. From
/// then on its hash belongs to context.identity. ExitCode::again if it was stopped; its state is then on disk. Collective.
/// Fault if a loss is not finite, BadInput if the images that are there came from another generator.
ExitCode train_generator(RunContext& context);

/// The hash of the finished generator beside the shards; empty if there is none. On the rank that asks.
std::string finished_generator_hash(const RunContext& context);

/// The finished generator, on the device. Fault if it is gone or damaged. Collective.
Generator finished_generator(const RunContext& context);

/// Images of the finished generator that are none of the stored ones, for distillation. Collective.
GeneratedImages generated_stream(const RunContext& context);

/// Seconds of one training step of one rank, in a rehearsal.
double seconds_of_generator_step(const RunContext& context);

}  // namespace eidolon
