// Which of the processes of a launch this is, for what has to be said before MPI has started.
#pragma once

namespace eidolon {

/// The rank that Open MPI, MPICH, a PMIx server or srun gave this process; 0 if it was started alone.
int launched_rank();

}  // namespace eidolon
