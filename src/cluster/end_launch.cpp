#include "cluster/end_launch.h"

#include <mpi.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "cluster/launch_check.h"

namespace eidolon {
namespace {

constexpr std::chrono::seconds patience{5};

bool mpi_runs() {
  int begun = 0, over = 0;
  return MPI_Initialized(&begun) == MPI_SUCCESS && begun != 0 && MPI_Finalized(&over) == MPI_SUCCESS && over == 0;
}

}  // namespace

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
