#include "stages/finetuning_owner.h"

#include <filesystem>
#include <string>
#include <utility>

#include "cluster/on_root.h"
#include "storage/atomic_file.h"

namespace eidolon {
namespace {

// Unlike a unit of synthesis, two fine-tunings at once would do harm: be slow to think the owner dead.
constexpr double stale_seconds = 300;

Claimant trainer(const RunContext& context) {
  return context.claimant(student_facts(context.job, context.identity));
}

[[noreturn]] void refuse(const RunDirectory& run, const std::optional<Claimant>& holder) {
  throw BadInput("fine-tuning in " + run.root.string() + " belongs to " +
                 (holder ? describe(*holder) : std::string("another launch")) + "; wait for it or end it. If its node died, " +
                 run.finetuning_owner().string() + " is taken over once its heartbeat is 5 minutes old");
}

Claim take(const RunContext& context) {
  const std::filesystem::path file = context.run.finetuning_owner();
  auto claim = Claim::take(file, trainer(context), stale_seconds);
  if (!claim) refuse(context.run, holder_of(file));
  return std::move(*claim);
}

}  // namespace

void refuse_owned_finetuning(const RunContext& context) {
  const auto holder = living_holder_of(context.run.finetuning_owner(), trainer(context), stale_seconds);
  if (holder) refuse(context.run, holder);
}

std::optional<Claim> own_finetuning(const RunContext& context) {
  std::optional<Claim> claim;
  on_root(context.cluster.communicator, [&] {
    claim = take(context);
    remove_parts(context.run.checkpoint(0).parent_path(), "step-");
  });
  return claim;
}

}  // namespace eidolon
