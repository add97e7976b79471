#include <sstream>
#include <string>
#include <vector>

#include "base/trimmed.h"
#include "stages/stages.h"

namespace eidolon {
namespace {

/// The names between commas.
std::vector<std::string> names_in(const std::string& list) {
  std::vector<std::string> names;
  std::istringstream entries(list);
  for (std::string entry; std::getline(entries, entry, ',');) names.emplace_back(trimmed(entry));
  return names;
}

}  // namespace

ExitCode run(RunContext& context, const EvaluateOptions& options, const LabelledSet& labelled) {
  if (const ExitCode code = synthesize(context); code != ExitCode::done) return code;
  if (const ExitCode code = finetune(context); code != ExitCode::done) return code;
  const ExitCode code = evaluate(context, options, labelled);
  const std::vector<std::string> targets = names_in(context.job.run.exports);
  return code == ExitCode::done && !targets.empty() ? export_student(context, {.targets = targets, .prints = false}) : code;
}

}  // namespace eidolon
