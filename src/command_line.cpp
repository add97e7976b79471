#include "command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <sstream>
#include <string>

#include "completion.h"
#include "exporting/targets.h"  // defines: export_targets, export_target
#include "job/nearest.h"        // defines: nearest, printable
#include "job/provenance.h"     // defines: program_version
#include "man_page.h"

namespace eidolon {
namespace {

void add_job_command(CLI::App& app, CommandLine& line, const char* name, const char* help) {
  CLI::App* command = app.add_subcommand(name, help);
  command->add_option("job", line.target, "job file (TOML)")->required();
  command->add_option("--set", line.overrides, "override a key: --set synthesis.images=64")
      ->type_size(1)
      ->allow_extra_args(false);
  command->add_option("--run-dir", line.run_directory, "where outputs go (default data_out/<job name>)");
  CLI::Option* print = command->add_flag("--print-config", line.print_config, "print the job with every key and stop");
  CLI::Option* rehearse =
      command->add_flag("--dry-run", line.dry_run, "check everything, time three iterations, write nothing")->excludes(print);
  command->add_option("--profile", line.profile, "also trace an iteration of each stage into this folder, for chrome://tracing")
      ->needs(rehearse);
}

/// A flag that only a stage's own result honours.
void add_result_flag(CLI::App& app, const char* command, const char* flag, bool& value, const char* help) {
  CLI::App* stage = app.get_subcommand(command);
  stage->add_flag(flag, value, help)->excludes(stage->get_option("--print-config"))->excludes(stage->get_option("--dry-run"));
}

void add_evaluate_flags(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.get_subcommand("evaluate");
  command->add_option("--logits", line.evaluate.logits, "also write the logits of teacher and student to this safetensors file")
      ->excludes(command->get_option("--print-config"))
      ->excludes(command->get_option("--dry-run"));
  add_result_flag(app, "evaluate", "--teacher-only", line.evaluate.teacher_only, "evaluate the teacher alone");
}

void add_export_flags(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.get_subcommand("export");
  std::string help = "what the files are for, one or several of:";
  for (const Target& target : export_targets())
    help += "\n" + std::string(target.name) + ": " + std::string(target.description);
  command->add_option("--target", line.exporting.targets, help)
      ->required()
      ->type_size(1)
      ->allow_extra_args(false)
      ->excludes(command->get_option("--dry-run"))
      ->check([](const std::string& name) {
        try {
          export_target(name);
        } catch (const BadInput& error) {
          return std::string(error.what());
        }
        return std::string();
      });
  command->add_option("--out", line.exporting.folder, "folder for the targets' folders (default RUN_DIR/export)");
}

/// The stages, and what runs them in order.
void add_job_commands(CLI::App& app, CommandLine& line) {
  add_job_command(app, line, "run", "synthesize, finetune and evaluate, in order");
  add_job_command(app, line, "synthesize", "make the images, as HDF5 shards");
  add_job_command(app, line, "finetune", "calibrate the student and fine-tune it on the shards");
  add_job_command(app, line, "evaluate", "compare teacher and student on labelled images");
  add_job_command(app, line, "export", "write the finished student as files that other programs run");
  add_job_command(app, line, "sensitivity", "which node of the calibrated student costs how much, for quantization.bits_for");
  for (const char* command : {"run", "evaluate", "sensitivity"})
    add_result_flag(app, command, "--json", line.evaluate.json, "the result as one JSON object on standard output");
  add_evaluate_flags(app, line);
  add_export_flags(app, line);
}

void add_status(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      app.add_subcommand("status", "what is done, what is missing, speed and time left, while the job runs or after");
  command->add_option("run_dir", line.target)->required();
  CLI::Option* json = command->add_flag("--json", line.looking.json, "as one JSON object");
  command->add_flag("--watch", line.looking.watch, "look again every two seconds, until no launch is running")->excludes(json);
  command->add_option("--prometheus", line.looking.prometheus,
                      "also write it to this file, NAME.prom for node_exporter's textfile collector");
  command->add_option("--tensorboard", line.looking.tensorboard,
                      "also write the curves of fine-tuning into this folder, as event files");
}

void add_inspect(CLI::App& app, CommandLine& line) {
  app.add_subcommand("inspect", "what a file of this program or a weight file holds, and whether it is sound")
      ->add_option("file", line.target)
      ->required();
}

void add_report(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand("report", "one page about a run, or about several side by side");
  command->add_option("run_dir", line.reporting.runs)->required();
  command->add_option(
      "--out", line.reporting.folder,
      "folder for report.json and report.html (default: the run directory; of several runs the current folder)");
  command
      ->add_option("--labelled-images", line.reporting.labelled_images,
                   "labelled images that are looked at, at most; 0: none (default 1000)")
      ->check(CLI::NonNegativeNumber);
}

void add_doctor(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand("doctor", "check ranks, devices, collectives and a shared folder, before a first run");
  command->add_option("folder", line.target, "where run directories will lie (default: here)")->default_val(".");
  command->add_flag("--json", line.evaluate.json, "as one JSON object");
}

/// What the program says of itself.
void add_pages(CLI::App& app, CommandLine& line) {
  app.add_subcommand("keys", "the keys of a job that people set, with default and meaning")
      ->add_flag("--all", line.all_keys, "every key");
  app.add_subcommand("completion", "a script by which a shell completes commands, flags, keys and targets")
      ->add_option("shell", line.shell, "bash, zsh or fish: source <(eidolon completion bash)")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  app.add_subcommand("man", "this manual for man(1): eidolon man | man -l -");
  app.set_version_flag("--version", program_version());
}

/// In the order of the help.
void define_commands(CLI::App& app, CommandLine& line) {
  add_job_commands(app, line);
  add_status(app, line);
  add_inspect(app, line);
  add_report(app, line);
  add_doctor(app, line);
  add_pages(app, line);
  app.require_subcommand(1);
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string nearest_of(const std::string& word, const std::vector<std::string>& names) {
  return std::string(nearest(word, {names.begin(), names.end()}));
}

/// The commands of the program, or those of them that have a flag.
std::vector<std::string> commands_of(const CLI::App& app, const std::string& flag = "") {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) {
    if (flag.empty() || command->get_option_no_throw(flag) != nullptr) names.push_back(command->get_name());
  }
  return names;
}

/// The first word names the command; CLI11 would only say that there is none.
void require_command(const CLI::App& app, int argc, char** argv) {
  const std::vector<std::string> commands = commands_of(app);
  if (argc < 2) throw BadInput("no command is given; the commands are " + joined(commands));
  const std::string word = argv[1];
  if (std::ranges::find(commands, word) != commands.end() || app.get_option_no_throw(word) != nullptr) return;
  if (word.starts_with('-')) throw BadInput("'" + printable(word) + "' stands before the command, which comes first");
  throw BadInput("unknown command '" + printable(word) + "'; nearest is '" + nearest_of(word, commands) + "'");
}

/// What is wrong with a word that the command does not take.
std::string about(const std::string& word, const CLI::App& app, const std::string& command) {
  if (!word.starts_with('-')) return "'" + printable(word) + "' is one word too many";
  const std::string flag = word.substr(0, word.find('='));
  const std::vector<std::string> owners = commands_of(app, flag);
  if (!owners.empty()) return flag + " is a flag of " + joined(owners) + " alone";
  std::vector<std::string> flags{"--help"};
  for (const CLI::Option* option : app.get_subcommand(command)->get_options()) {
    if (!option->get_lnames().empty()) flags.push_back("--" + option->get_lnames()[0]);
  }
  return "unknown flag '" + printable(flag) + "'; nearest is '" + nearest_of(flag, flags) + "'";
}

}  // namespace

CommandLine read_command_line(int argc, char** argv) {
  CommandLine line;
  line.words.assign(argv, argv + argc);
  CLI::App app("Quantizes pretrained vision models without a single real image.", "eidolon");
  define_commands(app, line);
  require_command(app, argc, argv);
  const std::string first = argv[1];
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& question) {
    std::ostringstream answer;
    app.exit(question, answer, answer);
    line.answer = answer.str();
  } catch (const CLI::ExtrasError&) {
    throw BadInput(first + ": " + about(app.remaining(true).at(0), app, first));
  } catch (const CLI::ParseError& error) {
    throw BadInput(first + ": " + error.what() + "; `eidolon " + first + " --help` shows how");
  }
  if (line.answer.empty() && first == "completion") line.answer = completion(app, line.shell);
  if (line.answer.empty() && first == "man") line.answer = man_page(app, program_version());
  if (line.answer.empty()) line.command = first;
  return line;
}

}  // namespace eidolon
