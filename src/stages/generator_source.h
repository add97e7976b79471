// The finished generator of a run and what is made with it. It lies beside the shards, so that runs which share images share
// it.
#pragma once

#include <filesystem>
#include <string>

#include "finetuning/image_stream.h"
#include "stages/run_context.h"
#include "synthesis/generator.h"

namespace eidolon {

std::filesystem::path generator_file(const RunContext& context);

/// Whose a generator is: what decides it, which its own hash does not.
ShardOwner generator_owner(const RunContext& context);

/// What the job asks for. BadInput if its teacher cannot train one.
GeneratorShape own_generator_shape(const RunContext& context);

/// The hash of the finished generator; empty if there is none. On the rank that asks. BadInput if it is another job's.
std::string finished_generator_hash(const RunContext& context);

/// The finished generator, on the device. Fault if it is gone or damaged. Collective.
Generator finished_generator(const RunContext& context);

/// Its images that are none of the stored ones, for distillation. Collective.
GeneratedImages generated_stream(const RunContext& context);

}  // namespace eidolon
