// How a rank that failed ends the whole launch.
#pragma once

#include "base/error.h"

namespace eidolon {

/// Ends this process with `code`, and through the MPI library all other ranks. mpirun ends them anyway when one leaves with a
/// code; srun does so only if told (--kill-on-bad-exit), and then reports 137 in place of the code. Never hangs: if the library
/// does not come back within seconds, this process ends alone.
[[noreturn]] void end_launch(ExitCode code);

}  // namespace eidolon
