// Identities: what decides whether a finished artefact may be reused.
#pragma once

#include <map>
#include <string>

#include "job/job.h"

namespace eidolon {

/// What an identity depends on besides the job itself.
struct IdentityContext {
  std::string teacher_hash;    ///< SHA-256 over names, shapes, dtypes and bytes of the weights
  std::string network;         ///< canonical JSON: Plan::facts, what was made of the weights
  std::string preprocessing;   ///< canonical JSON
  std::string device;          ///< "cpu", or "cuda" and the kind of GPU: "cuda (NVIDIA H100 80GB HBM3)"
  int64_t threads = 1;         ///< per rank; decides the bits of images made on CPUs alone
  std::string opponent = {};   ///< student_id of the student that the images are set against; empty: none
  std::string generator = {};  ///< hash of the generator that makes the images; empty: none, or it is not trained yet
  std::string given = {};      ///< facts of images that were given (synthesis.method = "given"), which stand for all others
};

/// Sorted-key canonical JSON of everything that decides the bytes of a synthesized image: context, those [synthesis] keys that
/// have an effect in this job (job/used_keys.h) but `images` and `held_out_images`, the format version. Every `auto` among them
/// must have been resolved before (throws Fault if not).
std::string synthesis_facts(const Job& job, const IdentityContext& context);

/// The same for the student: synthesis_id, image counts, [quantization], [finetuning].
std::string student_facts(const Job& job, const IdentityContext& context);

/// `context` with the device, the threads and the generator that `facts`, another's synthesis_facts(), were computed with, if
/// it states them. Images made elsewhere are as good for a student as its own, so these alone are no reason to refuse them.
IdentityContext computed_as(const IdentityContext& context, const std::string& facts);

/// SHA-256 of the facts, 64 hex digits.
std::string synthesis_id(const Job& job, const IdentityContext& context);
std::string student_id(const Job& job, const IdentityContext& context);

/// Names the first key (in sorted order, those that both have before others) in which two canonical JSONs differ, with both
/// values: "synthesis.seed is 2 here and 1 there"; empty if they are equal.
std::string first_difference(const std::string& facts_here, const std::string& facts_there);

}  // namespace eidolon
