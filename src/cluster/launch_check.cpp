#include "cluster/launch_check.h"

#include <cstdlib>
#include <string>

#include "base/error.h"

namespace eidolon {
namespace {

long long environment_number(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? -1 : std::strtoll(text, nullptr, 10);
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

}  // namespace eidolon
