#include "stages/finetuning_owner.h"

#include "cluster/on_root.h"
#include "storage/atomic_file.h"

namespace eidolon {
namespace {

// Unlike a unit of synthesis, two fine-tunings at once would do harm: be slow to think the owner dead.
constexpr double stale_seconds = 300;

Claim take(const RunContext& context) {
  const std::filesystem::path file = context.run.finetuning_owner();
  auto claim = Claim::take(file, context.claimant(), stale_seconds);
  if (claim) return std::move(*claim);
  const auto holder = holder_of(file);
  throw BadInput("fine-tuning in " + context.run.root.string() + " belongs to " +
                 (holder ? describe(*holder) : std::string("another launch")) + "; wait for it or end it. If its node died, " +
                 file.string() + " is taken over once its heartbeat is 5 minutes old");
}

}  // namespace

std::optional<Claim> own_finetuning(const RunContext& context) {
  std::optional<Claim> claim;
  from_root(context.cluster.communicator, [&] {
    claim = take(context);
    remove_parts(context.run.checkpoint(0).parent_path(), "step-");
    return std::string();
  });
  return claim;
}

}  // namespace eidolon
