// How a rank that failed ends the whole launch.
#pragma once

#include "base/error.h"

namespace eidolon {

/// Ends this process with `code`. mpirun then ends the other ranks. srun does so only if told (--kill-on-bad-exit), and then
/// reports 137 in place of the code; so under srun this goes through MPI_Abort. Never hangs: if the library does not come back
/// within seconds, this process ends alone.
[[noreturn]] void end_launch(ExitCode code);

}  // namespace eidolon
