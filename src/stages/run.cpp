#include "stages/labelled_set.h"
#include "stages/stages.h"

namespace eidolon {

ExitCode run(RunContext& context, const EvaluateOptions& options) {
  const LabelledSet labelled = labelled_images(context);  // what is wrong with it should be known now, not after hours
  if (const ExitCode code = synthesize(context); code != ExitCode::done) return code;
  if (const ExitCode code = finetune(context); code != ExitCode::done) return code;
  return evaluate(context, options, labelled);
}

}  // namespace eidolon
