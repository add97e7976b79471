// One launch: the start of the program on all ranks by mpirun or srun, its rank before MPI runs, its name and its end.
#pragma once

#include <string>

#include "base/error.h"
#include "cluster/communicator.h"

namespace eidolon {

/// Whether this process is a task of a step that srun started (SLURM_STEP_ID).
bool started_by_srun();

/// Throws BadInput with the remedy if srun started several tasks (SLURM_STEP_ID set, SLURM_NTASKS > 1) but the MPI
/// world has one rank. Each task would otherwise do all the work in the same folder.
void refuse_wrong_launch(int world_size);

/// The rank from the environment that Open MPI, MPICH, PMIx or srun sets, for messages before MPI runs. 0 without one.
int launched_rank();

/// Collective. The UTC time, host and pid of rank 0, e.g. "20260301-120000-n1-4711". It names the folders of logs and
/// heartbeats, so several launches may work in one run directory. Names sort by time, and are unique if clocks agree.
std::string launch_name(const Communicator& communicator);

/// Ends this process with `code` and so the launch, since mpirun then ends the other ranks. srun does so only with
/// --kill-on-bad-exit and then reports 137 instead of the code, so under srun MPI_Abort is called. It cannot hang: if
/// MPI_Abort does not return within 5 s, this process exits alone.
[[noreturn]] void end_launch(ExitCode code);

}  // namespace eidolon
