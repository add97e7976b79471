#include "stages/preflight.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <vector>

#include "base/error.h"
#include "base/pulse.h"
#include "cluster/on_root.h"
#include "job/synthesis_methods.h"
#include "quantization/scheme.h"
#include "stages/finetuning_owner.h"
#include "stages/generator_source.h"
#include "stages/given_images.h"
#include "stages/rounds.h"
#include "stages/shard_set.h"
#include "stages/student_source.h"
#include "stages/unit_work.h"
#include "storage/tensor_archive.h"
#include "synthesis/objective.h"
#include "synthesis/unit.h"

namespace eidolon {
namespace {

namespace fs = std::filesystem;

using Attributes = std::map<std::string, std::string>;

/// Of a file that may be absent or damaged; none then. What is damaged is dealt with when it is read.
Attributes attributes_of(const fs::path& path, bool verify) {
  pulse();
  try {
    return fs::is_regular_file(path) ? read_attributes(path, verify) : Attributes();
  } catch (const Error&) {
    return {};
  }
}

std::string text(const Attributes& attributes, const char* name) {
  const auto found = attributes.find(name);
  return found == attributes.end() ? std::string() : found->second;
}

/// synthesis_facts() of the first image shard there is or, where the shards are gone, of the student's images.
std::string recorded_facts(const RunContext& context) {
  for (const Unit& unit : units_of(context.job.synthesis)) {
    const std::string facts = text(attributes_of(context.shard(unit), true), "identity");
    if (!facts.empty()) return facts;
  }
  for (const int64_t step : checkpoint_steps(context.run)) {
    const std::string facts = text(attributes_of(context.run.checkpoint(step), true), "images");
    if (!facts.empty()) return facts;
  }
  return {};
}

/// Why this launch may not add to the images that are there; empty if it may. One set of images is made by one kind of device
/// and one number of threads, so that each could be made again bit by bit; training on them needs neither.
std::string difference_in_making(const RunContext& context, const IdentityContext& own) {
  if (synthesis_id(context.job, own) == synthesis_id(context.job, context.identity)) return {};
  const fs::path folder = context.shard(units_of(context.job.synthesis)[0]).parent_path();
  const std::string there = "the images in " + folder.string() + " are made ";
  const std::string remedy = ", or use another --run-dir or run.shards";
  if (own.device != context.identity.device) {
    return there + "on '" + context.identity.device + "', and this launch runs on '" + own.device +
           "'; to add to them set run.device to that" + remedy;
  }
  return there + "with " + std::to_string(context.identity.threads) + " threads a rank, and this launch has " +
         std::to_string(own.threads) + "; to add to them set run.threads = " + std::to_string(context.identity.threads) +
         remedy;
}

void refuse_to_add_otherwise(const RunContext& context) {
  if (context.made_otherwise.empty()) return;
  for (const Unit& unit : units_of(context.job.synthesis)) {
    if (!fs::exists(context.shard(unit))) throw BadInput(context.made_otherwise);
  }
}

/// Where no shard is there yet, the claims of those who are at work say what they make.
void refuse_beside_other_work(const RunContext& context) {
  const std::string facts = synthesis_facts(context.job, context.identity);
  const Claimant asker = context.claimant(facts);
  for (const Unit& unit : units_of(context.job.synthesis)) {
    if (fs::exists(context.shard(unit))) continue;
    const auto holder = living_holder_of(context.claim_of(unit), asker, unit_stale_seconds);
    if (!holder || holder->work.empty() || holder->work == facts) continue;
    throw BadInput("the images in " + context.shard(unit).parent_path().string() + " are being made for another job by " +
                   describe(*holder) + ": " + first_difference(facts, holder->work) + "; use another --run-dir or run.shards");
  }
}

// Reading a file whole only to learn whose it is would take long: it is verified where it seems to be another's.

void refuse_other_shards(const RunContext& context) {
  const ShardOwner owner = context.shard_owner();
  for (const Unit& unit : units_of(context.job.synthesis)) {
    const Attributes attributes = attributes_of(context.shard(unit), false);
    if (attributes.empty() || text(attributes, "synthesis_id") == owner.synthesis_id) continue;
    if (verify_archive(context.shard(unit)) == ArchiveState::sound) require_own_shard(context.shard(unit), attributes, owner);
  }
}

void refuse_other_checkpoints(const RunContext& context) {
  const CheckpointOwner owner = checkpoint_owner(context);
  for (const int64_t step : checkpoint_steps(context.run)) {
    const fs::path path = context.run.checkpoint(step);
    const Attributes attributes = attributes_of(path, false);
    if (attributes.empty() || text(attributes, "student_id") == owner.student_id) continue;
    if (verify_archive(path) == ArchiveState::sound) require_own_checkpoint(path, attributes, owner);
  }
}

/// Terms that the teacher cannot serve refuse when they are drawn.
void require_servable_terms(const RunContext& context) {
  const SynthesisJob& job = context.job.synthesis;
  if (trains_generator(job)) own_generator_shape(context);
  if (!images_are_starts(job))
    draw_objective({context.teacher.model, context.teacher.preprocessing}, job, {0, job.unit_images});
}

void require_some_checkpoint(const RunDirectory& run) {
  if (!checkpoint_steps(run).empty()) return;
  throw BadInput("there is no finished student in " + run.root.string() + "; run `eidolon finetune` with this job first");
}

void require_some_shard(const RunContext& context) {
  const std::vector<Unit> units = units_of(context.job.synthesis);
  if (std::ranges::any_of(units, [&](const Unit& unit) { return fs::exists(context.shard(unit)); })) return;
  throw BadInput("there is no image shard in " + context.shard(units[0]).parent_path().string() +
                 "; run `eidolon synthesize` with this job first");
}

void refuse_foreign_products(const RunContext& context) {
  const std::string precision = context.job.finetuning.precision.value();
  const bool on_cpu = context.device().is_cpu();
  if (precision == "tf32" && on_cpu) throw BadInput("finetuning.precision: tf32 is for GPUs; on a CPU use bf16 or fp32");
  if (precision == "bf16" && !on_cpu) throw BadInput("finetuning.precision: bf16 is for CPUs; on a GPU use tf32 or fp32");
}

/// Images, students and work of other jobs.
void refuse_what_is_in_the_way(const RunContext& context, const Intent& intent) {
  const bool makes_images = intent.makes_images && context.job.synthesis.method != "given";
  if (intent.makes_images || intent.trains) refuse_other_shards(context);
  if (makes_images) refuse_beside_other_work(context);
  if (makes_images) refuse_to_add_otherwise(context);
  if (intent.trains || intent.evaluates) refuse_other_checkpoints(context);
}

}  // namespace

Intent intent_of(const std::string& command, bool teacher_only) {
  if (command == "synthesize") return {.makes_images = true};
  if (command == "finetune") return {.trains = true, .finetunes = true};
  if (command == "sensitivity") return {.trains = true};
  if (command == "evaluate") return {.evaluates = !teacher_only};
  if (command == "export") return {.evaluates = true};
  return {.makes_images = true, .trains = true, .finetunes = true, .evaluates = true};
}

void adopt_recorded_identity(RunContext& context) {
  IdentityContext own = context.identity;
  const Communicator& communicator = context.cluster.communicator;
  context.identity = computed_as(own, from_root(communicator, [&] { return recorded_facts(context); }));
  if (trains_generator(context.job.synthesis) && context.identity.generator.empty())
    context.identity.generator = from_root(communicator, [&] { return finished_generator_hash(context); });
  own.generator = context.identity.generator;
  context.made_otherwise = difference_in_making(context, own);
}

void adopt_identity(RunContext& context) {
  open_rounds(context);
  if (context.job.synthesis.method == "given") return adopt_given_images(context);
  adopt_recorded_identity(context);
}

void check_before_start(RunContext& context, const Intent& intent) {
  if (!intent.makes_images && !intent.trains && !intent.evaluates) return;
  const Communicator& communicator = context.cluster.communicator;
  if (intent.evaluates && !intent.trains) {
    on_root(communicator, [&] { require_some_checkpoint(context.run); });
  }
  if (intent.trains) refuse_foreign_products(context);
  adopt_identity(context);
  const bool given = context.job.synthesis.method == "given";
  for (const RunContext& round : context.earlier_rounds) {
    on_root(communicator,
            [&] { refuse_what_is_in_the_way(round, {.makes_images = intent.makes_images, .trains = intent.trains}); });
  }
  on_root(communicator, [&] {
    if (intent.makes_images && !given) require_servable_terms(context);
    if (intent.trains)
      scheme_of(context.job.quantization, *context.teacher.model.plan);  // refuses what the network cannot have
    refuse_what_is_in_the_way(context, intent);
    if (intent.finetunes) refuse_owned_finetuning(context);
    if (intent.trains && !intent.makes_images) require_some_shard(context);
  });
}

}  // namespace eidolon
