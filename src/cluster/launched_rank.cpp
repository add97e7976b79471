#include "cluster/launched_rank.h"

#include <algorithm>
#include <cstdlib>

#include "cluster/launch_check.h"

namespace eidolon {

int launched_rank() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"}) {
    const bool slurm = name[0] == 'S';  // batch scripts and interactive shells carry its variables too
    const char* text = slurm && !started_by_srun() ? nullptr : std::getenv(name);
    if (text != nullptr) return std::max(std::atoi(text), 0);
  }
  return 0;
}

}  // namespace eidolon
