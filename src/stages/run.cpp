#include "stages/stages.h"

namespace eidolon {

ExitCode run(RunContext& context, const EvaluateOptions& options, const LabelledSet& labelled) {
  if (const ExitCode code = synthesize(context); code != ExitCode::done) return code;
  if (const ExitCode code = finetune(context); code != ExitCode::done) return code;
  return evaluate(context, options, labelled);
}

}  // namespace eidolon
