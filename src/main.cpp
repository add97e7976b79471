// eidolon: quantizes pretrained vision transformers without a single real image.
//
// The command line, and with it the table of contents: each subcommand is one file of stages/.
#include <CLI/CLI.hpp>
#include <iostream>

#include "cluster/agreement.h"    // defines: require_same
#include "cluster/cluster.h"      // defines: MpiSession, Communicator, Cluster, stop signals
#include "cluster/end_launch.h"   // defines: end_launch
#include "cluster/launch_name.h"  // defines: launch_name
#include "cluster/log.h"          // defines: log::error
#include "cluster/on_root.h"      // defines: ErrorOnRoot
#include "cluster/time_limit.h"   // defines: time_to_stop
#include "job/provenance.h"       // defines: program_version
#include "job/reader.h"           // defines: read_job, to_toml, describe_keys
#include "stages/stages.h"        // defines: synthesize, finetune, evaluate, run, dry_run, doctor, status, inspect

namespace eidolon {
namespace {

struct CommandLine {
  std::string command;
  std::filesystem::path target;  ///< job file, run directory or file
  std::vector<std::string> overrides;
  std::filesystem::path run_directory;
  bool print_config = false;
  bool dry_run = false;
  EvaluateOptions evaluate;
  std::vector<std::string> words;
};

void add_job_command(CLI::App& app, CommandLine& line, const char* name, const char* help) {
  CLI::App* command = app.add_subcommand(name, help);
  command->add_option("job", line.target, "job file (TOML)")->required();
  command->add_option("--set", line.overrides, "override a key: --set synthesis.images=64")
      ->type_size(1)
      ->allow_extra_args(false);
  command->add_option("--run-dir", line.run_directory, "where outputs go (default data_out/<job name>)");
  command->add_flag("--print-config", line.print_config, "print the job with every key and stop");
  command->add_flag("--dry-run", line.dry_run, "check everything, time three iterations, write nothing");
  command->add_flag("--json", line.evaluate.json, "evaluation as one JSON object on stdout");
  command->add_flag("--teacher-only", line.evaluate.teacher_only, "evaluate the teacher alone");
  command->callback([&line, name] { line.command = name; });
}

void define_commands(CLI::App& app, CommandLine& line) {
  add_job_command(app, line, "run", "synthesize, finetune and evaluate, in order");
  add_job_command(app, line, "synthesize", "make the images, as HDF5 shards");
  add_job_command(app, line, "finetune", "calibrate the student and fine-tune it on the shards");
  add_job_command(app, line, "evaluate", "compare teacher and student on labelled images");
  add_job_command(app, line, "sensitivity", "which node of the calibrated student costs how much, for quantization.bits_for");
  const auto add_look = [&](const char* name, const char* argument, const char* help) {
    CLI::App* command = app.add_subcommand(name, help);
    command->add_option(argument, line.target)->required();
    command->callback([&line, name] { line.command = name; });
    return command;
  };
  add_look("status", "run_dir", "what is done, what is missing, speed and time left, while the job runs or after")
      ->add_flag("--json", line.evaluate.json, "as one JSON object");
  add_look("inspect", "file", "what a shard, checkpoint or weight file holds, and whether it is sound");
  CLI::App* doctor = app.add_subcommand("doctor", "check ranks, devices, collectives and a shared folder, before a first run");
  doctor->add_option("folder", line.target, "where run directories will lie (default: here)")->default_val(".");
  doctor->add_flag("--json", line.evaluate.json, "as one JSON object");
  doctor->callback([&line] { line.command = "doctor"; });
  app.add_subcommand("keys", "every key of a job, with default and meaning")->callback([&line] { line.command = "keys"; });
  app.set_version_flag("--version", program_version());
  app.require_subcommand(1);
}

ExitCode run_stage(const CommandLine& line, RunContext& context) {
  if (line.dry_run) return dry_run(context);
  if (line.command == "synthesize") return synthesize(context);
  if (line.command == "finetune") return finetune(context);
  if (line.command == "evaluate") return evaluate(context, line.evaluate);
  if (line.command == "sensitivity") return sensitivity(context, line.evaluate.json);
  return run(context, line.evaluate);
}

void require_same_program(const CommandLine& line, const Communicator& communicator) {
  require_same(communicator, "the program", program_fingerprint(program_version()), "install one build on all nodes");
  require_same(communicator, "LibTorch", libtorch_fingerprint(), "install one LibTorch on all nodes");
  require_same(communicator, "the command", line.command + " --run-dir " + line.run_directory.string(),
               "start all ranks with one command");
}

/// The job, the same on all ranks. Rank 0 reads first, so that what is wrong is said once.
Job read_job_everywhere(const CommandLine& line, const Communicator& communicator) {
  from_root(communicator, [&] {
    read_job(line.target, line.overrides);
    return std::string();
  });
  const Job job = read_job(line.target, line.overrides);
  require_same(communicator, "the job", to_toml(job), "start all ranks with one job file and the same --set");
  return job;
}

ExitCode run_job(const CommandLine& line, const Job& job, Cluster& cluster) {
  const auto directory = line.run_directory.empty() ? std::filesystem::path("data_out") / job.name : line.run_directory;
  const bool teacher_alone = line.command == "evaluate" && line.evaluate.teacher_only;
  const Access access = line.dry_run ? Access::rehearse : teacher_alone ? Access::look : Access::write;
  RunContext context = open_run(job, cluster, std::filesystem::absolute(directory), access, line.words);
  const ExitCode code = run_stage(line, context);
  cluster.wait_for_all();  // the last wait that the watchdog guards
  return code;
}

ExitCode examine(const CommandLine& line, Communicator communicator) {
  const std::string launch = launch_name(communicator);
  const Placement placement = bind_rank(communicator, "", 0);
  const Cluster cluster{std::move(communicator), placement, launch};
  return doctor(cluster, std::filesystem::absolute(line.target), line.evaluate.json);
}

/// The stages that need ranks. An error leaves without MPI_Finalize and ends the launch (main): others may be waiting for this
/// rank.
ExitCode run_on_cluster(const CommandLine& line, int argc, char** argv) {
  install_stop_signals();
  MpiSession session(&argc, &argv);
  Communicator communicator = Communicator::world();
  require_same_program(line, communicator);
  if (line.command == "doctor") return examine(line, std::move(communicator));
  const Job job = read_job_everywhere(line, communicator);
  communicator = Communicator::world(job.run.watchdog_seconds);
  const std::string launch = launch_name(communicator);
  Cluster cluster{std::move(communicator), Placement(), launch, time_to_stop(job.run.stop_before_seconds)};
  if (line.print_config) {
    if (cluster.is_root()) std::cout << to_toml(job);
    return ExitCode::done;
  }
  const ExitCode code = run_job(line, job, cluster);
  if (code == ExitCode::again && cluster.is_root())
    log::info("stopped after a checkpoint; run the same command again to go on");
  return code;
}

ExitCode dispatch(const CommandLine& line, int argc, char** argv) {
  if (line.command == "status") return eidolon::status(line.target, line.evaluate.json);
  if (line.command == "inspect") return eidolon::inspect(line.target);
  if (line.command == "keys") {
    std::cout << describe_keys();
    return ExitCode::done;
  }
  return run_on_cluster(line, argc, argv);
}

}  // namespace
}  // namespace eidolon

int main(int argc, char** argv) {
  using namespace eidolon;
  CommandLine line;
  line.words.assign(argv, argv + argc);
  CLI::App app("Quantizes pretrained vision transformers without a single real image.", "eidolon");
  define_commands(app, line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::bad_input);
  }
  ExitCode code = ExitCode::internal_fault;
  try {
    return static_cast<int>(dispatch(line, argc, argv));
  } catch (const ErrorOnRoot& error) {  // rank 0 says it, and ends the launch
    std::_Exit(static_cast<int>(error.code()));
  } catch (const Error& error) {
    log::error(line.command + ": " + error.what());
    code = error.code();
  } catch (const c10::Error& error) {
    log::error(line.command + ": LibTorch: " + error.what_without_backtrace());
  } catch (const std::exception& error) {
    log::error(line.command + ": unexpected: " + error.what());
  }
  std::cout.flush();
  end_launch(code);
}
