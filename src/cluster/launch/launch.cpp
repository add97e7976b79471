#include "cluster/launch/launch.h"

#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <thread>

#include "storage/posix_file.h"

namespace eidolon {
namespace {

long long environment_number(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? -1 : std::strtoll(text, nullptr, 10);
}

constexpr std::chrono::seconds patience{5};

bool mpi_runs() {
  int begun = 0, over = 0;
  return MPI_Initialized(&begun) == MPI_SUCCESS && begun != 0 && MPI_Finalized(&over) == MPI_SUCCESS && over == 0;
}

}  // namespace

// Slurm's own steps (interactive shell, batch script, extern, pending) have numbers from 0xfffffff0 on (slurm.h); a program
// there was not started by srun.
bool started_by_srun() {
  const long long step = environment_number("SLURM_STEP_ID");
  return step >= 0 && step < 0xfffffff0LL;
}

void refuse_wrong_launch(int world_size) {
  const long long tasks = environment_number("SLURM_NTASKS");
  if (world_size > 1 || tasks <= 1 || !started_by_srun()) return;
  throw BadInput(
      "srun started " + std::to_string(tasks) +
      " tasks but MPI sees one rank; start with `srun --mpi=pmix`, or `mpirun` from the batch script, or ask for one task");
}

int launched_rank() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"}) {
    const bool slurm = name[0] == 'S';  // batch scripts and interactive shells carry its variables too
    const char* text = slurm && !started_by_srun() ? nullptr : std::getenv(name);
    if (text != nullptr) return std::max(std::atoi(text), 0);
  }
  return 0;
}

std::string launch_name(const Communicator& communicator) {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  char time[32] = "";
  if (gmtime_r(&now, &utc) != nullptr) std::strftime(time, sizeof time, "%Y%m%d-%H%M%S", &utc);
  return communicator.broadcast_text(std::string(time) + "-" + host_name() + "-" + std::to_string(getpid()));
}

void end_launch(ExitCode code) {
  const int number = static_cast<int>(code);
  if (started_by_srun() && mpi_runs()) {
    std::thread([number] {
      std::this_thread::sleep_for(patience);
      std::_Exit(number);
    }).detach();
    MPI_Abort(MPI_COMM_WORLD, number);
  }
  std::_Exit(number);
}

}  // namespace eidolon
