// A program started N times that does not know of its siblings would do the same work N times into one folder.
#pragma once

#include <string>

#include "base/error.h"
#include "cluster/communicator.h"

namespace eidolon {

/// Whether this process is a task of a step that srun started (SLURM_STEP_ID).
bool started_by_srun();

/// BadInput naming the remedy if srun started several tasks (SLURM_STEP_ID set, SLURM_NTASKS > 1) and the MPI world has one
/// rank.
void refuse_wrong_launch(int world_size);

/// The rank that Open MPI, MPICH, a PMIx server or srun gave this process; 0 if it was started alone.
int launched_rank();

/// Collective. "20260301-120000-n1-4711": UTC, host and pid of rank 0. Sorts by time and is unique where clocks agree; names
/// the folders of logs and heartbeats, so that several launches may work in one run directory.
std::string launch_name(const Communicator& communicator);

/// Ends this process with `code`. mpirun then ends the other ranks. srun does so only if told (--kill-on-bad-exit), and then
/// reports 137 in place of the code; so under srun this goes through MPI_Abort. Never hangs: if the library does not come back
/// within seconds, this process ends alone.
[[noreturn]] void end_launch(ExitCode code);

}  // namespace eidolon
