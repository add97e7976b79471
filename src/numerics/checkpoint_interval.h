// How often to write a checkpoint.
#pragma once

namespace eidolon {

/// Seconds of work between two checkpoints that each take `cost` seconds, where the run ends unannounced every
/// `mean_time_between_failures` seconds on average: sqrt(2 cost MTBF) - cost, and MTBF for costs beyond half of it (Young,
/// CACM 17(9), 1974; Daly, FGCS 22(3), 2006, first order). At least 10 s, since a cheap checkpoint still loads a shared file
/// system.
double checkpoint_interval(double cost, double mean_time_between_failures);

}  // namespace eidolon
