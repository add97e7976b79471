// Which rank runs where: what a user checks first when a run is slow or wrong.
#pragma once

#include <string>
#include <vector>

#include "cluster/cluster.h"

namespace eidolon {

/// Collective. One line per rank, neighbours that differ only in their numbers on one line:
/// "ranks 0-3 on node1: cpu, 1 thread each (OMP_NUM_THREADS); cores 0-31". The same on every rank.
std::vector<std::string> rank_table(const Communicator& communicator, const Placement& placement);

/// "0-3,8" of ascending numbers.
std::string number_ranges(const std::vector<int>& numbers);

}  // namespace eidolon
