// Generators on disk: one in training with its optimiser, and one that is finished.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "numerics/adam.h"
#include "synthesis/generator.h"
#include "synthesis/unit_files.h"

namespace eidolon {

/// All that a generator in training is, on every rank alike.
struct GeneratorState {
  Generator generator;
  std::map<std::string, AdamMoments> moments;  ///< by the names of the parameters
  int64_t step = 0;                            ///< steps done
};

/// Of a new generator, on `device`.
GeneratorState start_generator(const GeneratorShape& shape, uint64_t seed, at::Device device);

void write_generator_state(const std::filesystem::path& path, const GeneratorState& state, const ShardOwner& owner);

/// Nothing if there is no state, or one that is damaged or of another identity: training then starts anew. On the CPU.
std::optional<GeneratorState> read_generator_state(const std::filesystem::path& path, const GeneratorShape& shape,
                                                   const ShardOwner& owner);

/// `generator` has statistics.
void write_generator(const std::filesystem::path& path, const Generator& generator, const ShardOwner& owner);

/// The same of a finished generator. BadInput naming the difference if it is another job's.
std::optional<Generator> read_generator(const std::filesystem::path& path, const GeneratorShape& shape,
                                        const ShardOwner& owner);

/// SHA-256 over names, shapes and bytes of all its tensors: with seed and global index all that decides an image.
std::string generator_hash(const Generator& generator);

}  // namespace eidolon
