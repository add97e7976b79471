#include "stages/stages.h"

namespace eidolon {

ExitCode run(RunContext& context, const EvaluateOptions& options) {
  if (const ExitCode code = synthesize(context); code != ExitCode::done) return code;
  if (const ExitCode code = finetune(context); code != ExitCode::done) return code;
  return evaluate(context, options);
}

}  // namespace eidolon
