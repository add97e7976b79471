#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "cluster/on_root.h"
#include "job/mixture.h"
#include "reporting/result.h"
#include "stages/run_summary.h"
#include "stages/stage_times.h"
#include "stages/stages.h"

namespace eidolon {

namespace {

ExitCode export_targets_of(const RunContext& context) {
  const std::vector<std::string> targets = listed_names(context.job.run.exports);
  return targets.empty() ? ExitCode::done : export_student(context, {.targets = targets, .prints = false});
}

}  // namespace

ExitCode run(RunContext& context, const EvaluateOptions& options, const LabelledSet& labelled) {
  const auto stages = {
      std::pair<const char*, std::function<ExitCode()>>{"synthesize", [&] { return synthesize(context); }},
      {"finetune", [&] { return finetune(context); }},
      {"evaluate", [&] { return evaluate(context, options, labelled); }},
      {"export", [&] { return export_targets_of(context); }},
  };
  for (const auto& [name, stage] : stages) {
    if (const ExitCode code = timed(context, name, stage); code != ExitCode::done) return code;
  }
  if (!options.json) on_root(context.cluster.communicator, [&] { print_result(run_summary(context)); });
  return ExitCode::done;
}

}  // namespace eidolon
