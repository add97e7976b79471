// A program started N times that does not know of its siblings would do the same work N times into one folder.
#pragma once

namespace eidolon {

/// Whether this process is a task of a step that srun started (SLURM_STEP_ID).
bool started_by_srun();

/// BadInput naming the remedy if srun started several tasks (SLURM_STEP_ID set, SLURM_NTASKS > 1) and the MPI world has one
/// rank.
void refuse_wrong_launch(int world_size);

}  // namespace eidolon
