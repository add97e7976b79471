// The stages: one function per subcommand, each in the file of its name. Every one reads the job and the run directory, skips
// what is finished, and can be stopped at any moment and started again.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "stages/labelled_set.h"
#include "stages/run_context.h"

namespace eidolon {

struct EvaluateOptions {
  bool json = false;                  ///< one JSON object on stdout
  bool teacher_only = false;          ///< leave the student out
  std::filesystem::path logits = {};  ///< safetensors file for the logits of teacher and student; empty: none
};

struct ExportOptions {
  std::vector<std::string> targets;   ///< exporting/targets.h
  std::filesystem::path folder = {};  ///< in which each target has a folder; empty: export/ in the run directory
  bool ends_a_run = false;            ///< what can be exported is, a refusal is said last, and the log names the folders
};

ExitCode synthesize(RunContext& context);
ExitCode finetune(RunContext& context);

/// Compares teacher and students on the labelled images or, without any, on held-out synthetic ones. Writes nothing.
ExitCode evaluate(const RunContext& context, const EvaluateOptions& options, const LabelledSet& labelled);

/// BadInput if the job leaves evaluate() nothing to look at. Before anything is made or written, since that would be in vain.
void require_images_to_evaluate(const Job& job, const EvaluateOptions& options, const Communicator& communicator);

/// BadInput if a target of run.export cannot take a student of this job, as far as that can be known before there is one.
/// Collective.
void require_exportable(const RunContext& context);

/// Writes the finished student for other programs: one folder per target, complete or not there. BadInput, before anything is
/// written, for a target that cannot take the student. Collective.
ExitCode export_student(const RunContext& context, const ExportOptions& options);

/// synthesize, finetune, evaluate and export what run.export names, in order.
ExitCode run(RunContext& context, const EvaluateOptions& options, const LabelledSet& labelled);

/// What each node of the calibrated student costs, in KL on held-out synthetic images: quantized alone, and spared alone.
/// Prints a table (or JSON), the dearest node first, and writes sensitivity.json. Calibrates if nothing is calibrated yet.
ExitCode sensitivity(const RunContext& context, bool json);

/// Checks all that can be checked, times three iterations of each stage, prints expected time, memory and disk; writes nothing
/// but, where a folder is named for them, rank 0's traces of one more iteration of each stage (numerics/operator_trace.h).
ExitCode dry_run(RunContext& context, const LabelledSet& labelled, const std::filesystem::path& traces);

/// Checks the ranks, their devices, their collectives and `folder`; internal_fault if something is bad. Collective.
ExitCode doctor(const Cluster& cluster, const std::filesystem::path& folder, bool json);

struct StatusOptions {
  bool json = false;
  bool watch = false;                      ///< again and again, until no launch is running
  std::filesystem::path prometheus = {};   ///< file for the same as text for Prometheus; empty: none
  std::filesystem::path tensorboard = {};  ///< folder for the curves of fine-tuning as event files; empty: none
};

/// What a run directory holds, from its files alone. Nothing is written there.
ExitCode status(const std::filesystem::path& run_directory, const StatusOptions& options);

struct ReportOptions {
  std::vector<std::filesystem::path> runs;
  std::filesystem::path folder = {};  ///< of report.json and report.html; empty: the run's, of several runs the working one
  int64_t labelled_images = 1000;     ///< looked at for accuracy and flips, at most
};

/// Writes report.json and, where Python has what that takes, report.html: of one run or of several side by side. BadInput for
/// a folder that is no run directory.
ExitCode report(Cluster& cluster, const ReportOptions& options);

/// What a file is. Of shards, checkpoints and weights: attributes, tensors and whether the seal holds; of the program's TOML
/// and JSON: which of its files it is, and its fields. BadInput that says what it is for any other.
ExitCode inspect(const std::filesystem::path& file);

}  // namespace eidolon
