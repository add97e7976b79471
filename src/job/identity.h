// Identities: what decides whether a finished artefact may be reused.
#pragma once

#include <map>
#include <string>

#include "job/job.h"

namespace eidolon {

/// What an identity depends on besides the job itself.
struct IdentityContext {
  std::string teacher_hash;   ///< SHA-256 over names, shapes, dtypes and bytes of the weights
  std::string preprocessing;  ///< canonical JSON
  std::string device;         ///< "cpu" or "cuda"
  int64_t threads = 1;        ///< per rank
  std::string given = {};     ///< facts of images that were given (synthesis.method = "given"), which stand for all others
};

/// Sorted-key canonical JSON of everything that decides the bytes of a synthesized image: context, all [synthesis] keys but
/// `images` and `held_out_images`, the format version. Every `auto` must have been resolved before (throws Fault if not).
std::string synthesis_facts(const Job& job, const IdentityContext& context);

/// The same for the student: synthesis_id, image counts, [quantization], [finetuning].
std::string student_facts(const Job& job, const IdentityContext& context);

/// SHA-256 of the facts, 64 hex digits.
std::string synthesis_id(const Job& job, const IdentityContext& context);
std::string student_id(const Job& job, const IdentityContext& context);

/// Names the first key (in sorted order) in which two canonical JSONs differ, with both values:
/// "synthesis.seed is 2 here and 1 there"; empty if they are equal.
std::string first_difference(const std::string& facts_here, const std::string& facts_there);

}  // namespace eidolon
