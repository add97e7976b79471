#include <string>
#include <vector>

#include "cluster/on_root.h"
#include "job/mixture.h"
#include "reporting/result.h"
#include "stages/run_summary.h"
#include "stages/stage_times.h"
#include "stages/stages.h"

namespace eidolon {

namespace {

ExitCode export_targets_of(RunContext& context) {
  const std::vector<std::string> targets = listed_names(context.job.run.exports);
  if (targets.empty()) return ExitCode::done;
  return timed(context, "export", [&] { return export_student(context, {.targets = targets, .ends_a_run = true}); });
}

}  // namespace

ExitCode run(RunContext& context, const EvaluateOptions& options, const LabelledSet& labelled) {
  if (const auto code = timed(context, "synthesize", [&] { return synthesize(context); }); code != ExitCode::done) return code;
  if (const auto code = timed(context, "finetune", [&] { return finetune(context); }); code != ExitCode::done) return code;
  const auto evaluated = timed(context, "evaluate", [&] { return evaluate(context, options, labelled); });
  if (evaluated != ExitCode::done) return evaluated;
  if (const auto code = export_targets_of(context); code != ExitCode::done) return code;
  if (!options.json) on_root(context.cluster.communicator, [&] { print_result(run_summary(context)); });
  return ExitCode::done;
}

}  // namespace eidolon
