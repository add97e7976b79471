// When the batch system will end this job.
#pragma once

namespace eidolon {

/// Unix seconds, from EIDOLON_END_TIME or else SLURM_JOB_END_TIME; infinity without either. BadInput for a text that is no
/// time.
double end_of_allocation();

/// Unix seconds at which to stop: `margin_seconds` before the end of the allocation, or less where that is more than a quarter
/// of the time that is left, so that a short job still works.
double time_to_stop(double margin_seconds);

}  // namespace eidolon
