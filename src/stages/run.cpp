#include <string>
#include <vector>

#include "job/mixture.h"
#include "stages/stages.h"

namespace eidolon {

ExitCode run(RunContext& context, const EvaluateOptions& options, const LabelledSet& labelled) {
  if (const ExitCode code = synthesize(context); code != ExitCode::done) return code;
  if (const ExitCode code = finetune(context); code != ExitCode::done) return code;
  const ExitCode code = evaluate(context, options, labelled);
  const std::vector<std::string> targets = listed_names(context.job.run.exports);
  return code == ExitCode::done && !targets.empty() ? export_student(context, {.targets = targets, .prints = false}) : code;
}

}  // namespace eidolon
