// The time at which the batch system ends this job.
#pragma once

namespace eidolon {

/// Unix seconds at which the allocation ends, from EIDOLON_END_TIME or else SLURM_JOB_END_TIME. Infinity without
/// either. Throws BadInput if the variable is not a time.
double end_of_allocation();

/// Unix seconds at which to stop: `margin_seconds` before the end of the allocation. The margin is limited to a quarter
/// of the remaining time, so that a short job still gets work done.
double time_to_stop(double margin_seconds);

}  // namespace eidolon
