// What a run says at its end.
#pragma once

#include <string>

#include "stages/run_context.h"

namespace eidolon {

/// Behind an empty line a table of at most 80 columns, but for paths that are longer: what was reached, where it lies, what to
/// do next. The figures are those of evaluation.json, which `run` has just written.
std::string run_summary(const RunContext& context);

}  // namespace eidolon
