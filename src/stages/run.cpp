#include "stages/labelled_set.h"
#include "stages/stages.h"

namespace eidolon {

ExitCode run(RunContext& context, const EvaluateOptions& options) {
  labelled_images(context);  // a wrong folder should be known now, not after hours of synthesis
  if (const ExitCode code = synthesize(context); code != ExitCode::done) return code;
  if (const ExitCode code = finetune(context); code != ExitCode::done) return code;
  return evaluate(context, options);
}

}  // namespace eidolon
