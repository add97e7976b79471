// The stages: one function per subcommand, each in the file of its name. Every one reads the job and the run directory, skips
// what is finished, and can be stopped at any moment and started again.
#pragma once

#include <filesystem>

#include "base/error.h"
#include "stages/run_context.h"

namespace eidolon {

struct EvaluateOptions {
  bool json = false;          ///< one JSON object on stdout
  bool teacher_only = false;  ///< leave the student out
};

ExitCode synthesize(RunContext& context);
ExitCode finetune(RunContext& context);
ExitCode evaluate(RunContext& context, const EvaluateOptions& options);

/// synthesize, finetune and evaluate, in order.
ExitCode run(RunContext& context, const EvaluateOptions& options);

/// What each node of the calibrated student costs, in KL on held-out synthetic images: quantized alone, and spared alone.
/// Prints a table (or JSON), the dearest node first, and writes sensitivity.json. Calibrates if nothing is calibrated yet.
ExitCode sensitivity(RunContext& context, bool json);

/// Checks all that can be checked, times three iterations of each stage, prints expected time, memory and disk; writes nothing.
ExitCode dry_run(RunContext& context);

/// Checks the ranks, their devices, their collectives and `folder`; internal_fault if something is bad. Collective.
ExitCode doctor(const Cluster& cluster, const std::filesystem::path& folder, bool json);

/// What a run directory holds, from its files alone.
ExitCode status(const std::filesystem::path& run_directory, bool json);

/// What one of our files is: its attributes, tensors and whether its seal holds.
ExitCode inspect(const std::filesystem::path& file);

}  // namespace eidolon
