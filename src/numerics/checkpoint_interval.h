// The interval between two checkpoints.
#pragma once

namespace eidolon {

/// Seconds of work between two checkpoints that each take `cost` seconds, where failures are
/// `mean_time_between_failures` (MTBF) seconds apart on average. It is sqrt(2 cost MTBF) - cost, and MTBF if cost
/// exceeds MTBF / 2 (Young, CACM 17(9), 1974; Daly, FGCS 22(3), 2006, first order). At least 10 s, since a cheap
/// checkpoint still loads a shared file system.
double checkpoint_interval(double cost, double mean_time_between_failures);

}  // namespace eidolon
