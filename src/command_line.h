// The command line: which command, of what, with which flags.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "stages/stages.h"  // defines: EvaluateOptions

namespace eidolon {

struct CommandLine {
  std::string command;
  std::filesystem::path target;  ///< job file, run directory or file
  std::vector<std::string> overrides;
  std::filesystem::path run_directory;
  bool print_config = false;
  bool dry_run = false;
  std::filesystem::path profile;  ///< folder for traces of what a dry run rehearses; empty: none
  EvaluateOptions evaluate;
  ExportOptions exporting;
  ReportOptions reporting;
  bool all_keys = false;
  StatusOptions looking;
  std::string shell;               ///< whose completion is asked for
  std::vector<std::string> words;  ///< as they were given
  std::string answer;              ///< to --help, --version, completion or man; nothing else is to be done then
};

/// BadInput names the word that is wrong, and the nearest command or flag. A flag is taken by the commands that honour it
/// alone.
CommandLine read_command_line(int argc, char** argv);

}  // namespace eidolon
