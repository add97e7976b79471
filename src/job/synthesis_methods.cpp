#include "job/synthesis_methods.h"

#include <algorithm>
#include <string>

#include "base/error.h"

namespace eidolon {
namespace {

// Half of the units are procedural images, half are optimised from such images through random views (Plug-In Inversion, arXiv
// 2201.12961), with one class each. Every number was measured with this program: docs/lab/synthesis.md.
SynthesisJob views() {
  return {};
}

// PSAQ-ViT (arXiv 2203.02250), from its text and code: 32 images from Gaussian noise, twice 500 iterations of Adam at 0.2, and
// a weight of total variation of 0.05 for a batch of 32, which is 0.05 * sqrt(32) per image.
SynthesisJob psaq() {
  SynthesisJob job;
  job.method = "psaq";
  job.start = "gaussian";
  job.images = 32;
  job.optimised_share = 1.0;
  job.iterations = 1000;
  job.learning_rate = 0.2;
  job.variation_weight = 0.283;
  return job;
}

// PSAQ-ViT V2 (arXiv 2209.05687), without labels. Its text was not at hand: what it shares with the first version is taken from
// there, 500 iterations before the first cycle and the constants of PsaqV2Job are ours.
SynthesisJob psaq_v2() {
  SynthesisJob job = psaq();
  job.method = "psaq_v2";
  job.iterations = 500;
  return job;
}

// SARDFQ (arXiv 2412.16553): 32 images, 1000 iterations and a weight of total variation of 0.05, as PSAQ-ViT, whose optimiser
// stands in for what the paper does not state.
SynthesisJob sardfq() {
  SynthesisJob job = psaq();
  job.method = "sardfq";
  return job;
}

// ACQ (arXiv 2301.07266) on GDFQ's generator and rate (arXiv 2003.03603). GDFQ trains 400 epochs of 200 steps of 16 images;
// number and size of the steps and the weights of ACQ's losses are ours.
SynthesisJob generator() {
  SynthesisJob job;
  job.method = "generator";
  job.start = "gaussian";
  job.optimised_share = 1.0;
  job.iterations = 1000;
  job.learning_rate = 1e-3;
  job.batchnorm_weight = 1.0;
  return job;
}

// Noise as a baseline: nothing is optimised.
SynthesisJob gaussian() {
  SynthesisJob job;
  job.method = "gaussian";
  job.start = "gaussian";
  return job;
}

// Images of others, in run.shards.
SynthesisJob given() {
  SynthesisJob job;
  job.method = "given";
  return job;
}

}  // namespace

int64_t cycles_of(const SynthesisJob& job) {
  return job.method == "psaq_v2" ? job.psaq_v2.cycles : 0;
}

bool trains_generator(const SynthesisJob& job) {
  return job.method == "generator" && job.iterations > 0 && job.optimised_share > 0;
}

int64_t iterations_of(const SynthesisJob& job) {
  return cycles_of(job) > 0 ? job.psaq_v2.iterations : job.iterations;
}

const std::vector<SynthesisMethod>& synthesis_methods() {
  static const std::vector<SynthesisMethod> methods{
      {.name = "views", .rounds = {.count = 1, .warmup_iterations = 4}, .defaults = views},
      {.name = "sardfq", .rounds = {.count = 2, .warmup_iterations = 100}, .defaults = sardfq},
      {.name = "psaq", .rounds = {.count = 2, .warmup_iterations = 100}, .defaults = psaq},
      {.name = "psaq_v2", .rounds = {.count = 1, .warmup_iterations = 100}, .defaults = psaq_v2},
      {.name = "generator", .rounds = {}, .defaults = generator},
      {.name = "gaussian", .rounds = {}, .defaults = gaussian},
      {.name = "given", .rounds = {}, .defaults = given}};
  return methods;
}

const SynthesisMethod& synthesis_method(std::string_view name) {
  const auto found = std::ranges::find(synthesis_methods(), name, &SynthesisMethod::name);
  if (found == synthesis_methods().end()) throw Fault("there is no synthesis method '" + std::string(name) + "'");
  return *found;
}

}  // namespace eidolon
