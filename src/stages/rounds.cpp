#include "stages/rounds.h"

#include <memory>
#include <string>
#include <utility>

#include "cluster/log.h"
#include "cluster/on_root.h"
#include "job/run_directory.h"
#include "job/synthesis_methods.h"
#include "stages/preflight.h"
#include "stages/stages.h"
#include "stages/student_source.h"

namespace eidolon {
namespace {

/// Round `number` as a run of its own, in the run directory `home`.
RunContext round_of(const RunContext& context, int64_t number) {
  RunContext round{context.job, context.cluster, {context.run.round(number)}, context.teacher, context.identity, nullptr};
  round.job.synthesis.psaq_v2.cycles = number;
  round.job.run.shards.clear();
  round.job.run.exports.clear();
  round.home = context.run.root;
  return round;
}

void set_against(RunContext& context, const RunContext& before) {
  context.round_before = &before;
  context.identity.opponent = student_id(before.job, before.identity);
}

/// Its folders and its job. Logs and heartbeats are those of the run.
void start_round(RunContext& round, const RunContext& context) {
  round.heartbeat = context.heartbeat;
  on_root(round.cluster.communicator, [&] {
    open_run_directory(round.run.root, round.cluster.launch);
    settle_job(round.job, round.job, round.run);
  });
}

}  // namespace

void open_rounds(RunContext& context) {
  const int64_t cycles = cycles_of(context.job.synthesis);
  context.earlier_rounds.reserve(static_cast<size_t>(cycles));  // each points at the one before
  for (int64_t number = 0; number < cycles; ++number) {
    RunContext& round = context.earlier_rounds.emplace_back(round_of(context, number));
    if (number > 0) set_against(round, context.earlier_rounds[static_cast<size_t>(number) - 1]);
    adopt_recorded_identity(round);
  }
  if (cycles > 0) set_against(context, context.earlier_rounds.back());
}

ExitCode finish_earlier_rounds(RunContext& context) {
  for (RunContext& round : context.earlier_rounds) {
    if (context.cluster.is_root())
      log::info("round " + round.run.root.filename().string() + " of " + std::to_string(context.earlier_rounds.size()));
    start_round(round, context);
    if (const ExitCode code = synthesize(round); code != ExitCode::done) return code;
    if (const ExitCode code = finetune(round); code != ExitCode::done) return code;
  }
  return ExitCode::done;
}

std::shared_ptr<const Opponent> opponent_of(const RunContext& context) {
  if (context.round_before == nullptr) return nullptr;
  const auto student =
      std::make_shared<const Student>(with_rounded_weights(finished_student(*context.round_before).to(context.device())));
  const Tap tap = [student, round = activation_tap(*student)](NodeId node, const Tensor& tensor) {
    return round(node, tensor);
  };
  return std::make_shared<const Opponent>(Opponent{.model = student->model, .tap = tap});
}

}  // namespace eidolon
