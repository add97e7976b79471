// eidolon: quantizes pretrained vision models without a single real image.
//
// The table of contents: each subcommand is one file of stages/.
#include <malloc.h>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>

#include "base/one_line.h"
#include "cluster/agreement.h"          // defines: require_same
#include "cluster/cluster.h"            // defines: Communicator, Cluster, stop signals
#include "cluster/launch/launch.h"      // defines: launch_name, launched_rank, end_launch
#include "cluster/launch/time_limit.h"  // defines: time_to_stop
#include "cluster/log.h"                // defines: log::error
#include "cluster/mpi/session.h"        // defines: MpiSession
#include "cluster/on_root.h"            // defines: ErrorOnRoot
#include "command_line.h"               // defines: CommandLine, read_command_line
#include "job/provenance.h"             // defines: program_version
#include "job/reader.h"                 // defines: read_job, to_toml, describe_keys
#include "reporting/result.h"           // defines: print_result
#include "stages/preflight.h"           // defines: check_before_start
#include "stages/stage_times.h"         // defines: timed
#include "stages/stages.h"              // defines: synthesize, finetune, evaluate, export_student, run, dry_run, report, ...

namespace eidolon {
namespace {

ExitCode run_stage(const CommandLine& line, RunContext& context, const LabelledSet& labelled) {
  if (line.dry_run) return dry_run(context, labelled, line.profile);
  if (line.command == "synthesize") return timed(context, line.command, [&] { return synthesize(context); });
  if (line.command == "finetune") return timed(context, line.command, [&] { return finetune(context); });
  if (line.command == "evaluate") return evaluate(context, line.evaluate, labelled);
  if (line.command == "export") return export_student(context, line.exporting);
  if (line.command == "sensitivity") return sensitivity(context, line.evaluate.json);
  return run(context, line.evaluate, labelled);
}

void require_same_program(const CommandLine& line, const Communicator& communicator) {
  require_same(communicator, "the program", program_fingerprint(program_version()), "install one build on all nodes");
  require_same(communicator, "LibTorch", libtorch_fingerprint(), "install one LibTorch on all nodes");
  require_same(communicator, "the command", line.command + " --run-dir " + line.run_directory.string(),
               "start all ranks with one command");
}

/// The job, the same on all ranks. Rank 0 reads first, so that what is wrong is said once.
Job read_job_everywhere(const CommandLine& line, const Communicator& communicator) {
  on_root(communicator, [&] { read_job(line.target, line.overrides); });
  const Job job = read_job(line.target, line.overrides);
  require_same(communicator, "the job", to_toml(job), "start all ranks with one job file and the same --set");
  return job;
}

/// Evaluation only looks, and so does export but for its own folder: it may be a colleague's run.
Access access_of(const CommandLine& line) {
  if (line.dry_run) return Access::rehearse;
  return line.command == "evaluate" || line.command == "export" ? Access::look : Access::write;
}

/// Everything that can refuse the launch comes before start_run(), which is the first to write.
ExitCode run_job(const CommandLine& line, const Job& job, Cluster& cluster) {
  const bool evaluates = line.command == "run" || line.command == "evaluate";
  if (evaluates) require_images_to_evaluate(job, line.evaluate, cluster.communicator);
  const auto directory = line.run_directory.empty() ? std::filesystem::path("data_out") / job.name : line.run_directory;
  const Access access = access_of(line);
  RunContext context = open_run(job, cluster, std::filesystem::absolute(directory), access);
  check_before_start(context, intent_of(line.command, line.evaluate.teacher_only));
  if (line.command == "run") require_exportable(context);
  const LabelledSet labelled = evaluates || line.dry_run ? labelled_images(context) : LabelledSet();
  if (access == Access::write) start_run(context, job, line.words);
  const ExitCode code = run_stage(line, context, labelled);
  cluster.wait_for_all();  // the last wait that the watchdog guards
  return code;
}

/// The commands that belong to no run of their own.
ExitCode run_without_job(const CommandLine& line, Communicator communicator) {
  const std::string launch = launch_name(communicator);
  const Placement placement = bind_rank(communicator, "", 0);
  Cluster cluster{std::move(communicator), placement, launch};
  if (line.command == "report") return report(cluster, line.reporting);
  return doctor(cluster, std::filesystem::absolute(line.target), line.evaluate.json);
}

/// The stages that need ranks. An error leaves without MPI_Finalize and ends the launch (main): others may be waiting for this
/// rank.
ExitCode run_on_cluster(const CommandLine& line, int argc, char** argv) {
  install_stop_signals();
  MpiSession session(&argc, &argv);
  Communicator communicator = Communicator::world();
  require_same_program(line, communicator);
  if (line.command == "doctor" || line.command == "report") return run_without_job(line, std::move(communicator));
  const Job job = read_job_everywhere(line, communicator);
  communicator = Communicator::world(job.run.watchdog_seconds);
  const std::string launch = launch_name(communicator);
  Cluster cluster{std::move(communicator), Placement(), launch, time_to_stop(job.run.stop_before_seconds)};
  if (line.print_config) {
    on_root(cluster.communicator, [&] { print_result(to_toml(job)); });
    return ExitCode::done;
  }
  const ExitCode code = run_job(line, job, cluster);
  if (code == ExitCode::again && cluster.is_root())
    log::info("stopped after a checkpoint; run the same command again to go on");
  return code;
}

bool uses_ranks(const CommandLine& line) {
  return !line.command.empty() && line.command != "status" && line.command != "inspect" && line.command != "keys";
}

ExitCode dispatch(const CommandLine& line, int argc, char** argv) {
  if (uses_ranks(line)) return run_on_cluster(line, argc, argv);
  if (line.command == "status") return eidolon::status(line.target, line.looking);
  if (line.command == "inspect") return eidolon::inspect(line.target);
  print_result(line.command == "keys" ? describe_keys(line.all_keys ? WhichKeys::all : WhichKeys::common) : line.answer);
  return ExitCode::done;
}

/// What every process of a launch finds wrong before MPI has started, one says. The others leave it the time to: the launcher
/// ends all processes with the first that fails.
void complain(const CommandLine& line, const std::string& what) {
  if (uses_ranks(line) || launched_rank() == 0) {
    log::error(line.command.empty() ? what : line.command + ": " + what);
  } else {
    std::this_thread::sleep_for(std::chrono::seconds(5));
  }
}

/// Every step frees and asks for the same large tensors again. Memory that went back to the system would come as new pages,
/// zeroed one by one: on two cores that costs MobileNetV2 half of its speed and DeiT-Tiny a tenth (mallopt(3)).
void keep_freed_memory() {
  constexpr int never = 0, without_bound = -1, growth_bytes = 64 << 20;
  const bool honoured =
      mallopt(M_MMAP_MAX, never) == 1 && mallopt(M_TRIM_THRESHOLD, without_bound) == 1 && mallopt(M_TOP_PAD, growth_bytes) == 1;
  if (!honoured) throw Fault("mallopt refuses its settings");
}

}  // namespace
}  // namespace eidolon

int main(int argc, char** argv) {
  using namespace eidolon;
  hold_standard_streams();
  CommandLine line;
  ExitCode code = ExitCode::internal_fault;
  try {
    keep_freed_memory();
    line = read_command_line(argc, argv);
    return static_cast<int>(dispatch(line, argc, argv));
  } catch (const ErrorOnRoot& error) {  // rank 0 says it, and ends the launch
    std::_Exit(static_cast<int>(error.code()));
  } catch (const Error& error) {
    complain(line, error.what());
    code = error.code();
  } catch (const c10::Error& error) {
    complain(line, one_line(std::string("LibTorch: ") + error.what_without_backtrace()));
  } catch (const std::exception& error) {
    complain(line, one_line(std::string("unexpected: ") + error.what()));
  }
  end_launch(code);
}
