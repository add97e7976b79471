// How long each rank was at what: lines of log/<launch>/rank-0003.times.jsonl, {"stage", "step", "time", "seconds"}.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "stages/run_context.h"

namespace eidolon {

/// Appends a line for this rank. `stage` is that of the program ("synthesize") or a part of it ("synthesize/unit 16"). Nothing
/// is written before start_run().
void write_time(const RunContext& context, const std::string& stage, double seconds);

/// The same for all of `work`, waiting for other ranks included.
ExitCode timed(const RunContext& context, const std::string& stage, const std::function<ExitCode()>& work);

}  // namespace eidolon
