// The ways to make images, and what each sets where a job says nothing.
#pragma once

#include <string_view>
#include <vector>

#include "job/job.h"

namespace eidolon {

/// Adam and its learning-rate schedule start anew each round. No keys, and so not part of an identity by themselves: who
/// changes them raises the format version.
struct OptimisationRounds {
  int64_t count = 1;
  int64_t warmup_iterations = 0;  ///< linear, per round; at most a fifth of a round
};

struct SynthesisMethod {
  std::string_view name;  ///< what synthesis.method says
  OptimisationRounds rounds;
  SynthesisJob (*defaults)();  ///< of every key of [synthesis]; `method` is `name`
};

/// How often images are set against a student; 0 where the method has none.
int64_t cycles_of(const SynthesisJob& job);

/// Optimisation steps of a unit: those of a cycle in jobs that have any.
int64_t iterations_of(const SynthesisJob& job);

/// A generator is trained, and makes the images of the units that are not starts.
bool trains_generator(const SynthesisJob& job);

/// In the order in which the documentation names them; the first is the default.
const std::vector<SynthesisMethod>& synthesis_methods();

/// Throws Fault if there is no such method: the schema allows no other.
const SynthesisMethod& synthesis_method(std::string_view name);

}  // namespace eidolon
