// Which rank runs where: what a user checks first when a run is slow or wrong.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "cluster/communicator.h"

namespace eidolon {

struct Placement {
  std::string host;
  std::string cores;   ///< of the affinity mask: "0-3,8"
  int local_rank = 0;  ///< among the ranks of this host
  int local_size = 1;
  at::Device device = at::kCPU;  ///< cuda:(local_rank mod visible devices) or cpu
  int64_t threads = 1;
  std::string threads_bound_by = {};  ///< what decided `threads` where it was left to auto: "cores", "OMP_NUM_THREADS", ...
};

/// Binds this rank: picks the device ("cpu", "cuda" or "" for auto: cuda if one is usable), sets LibTorch's intra-op threads (0
/// for auto: what thread_bound.h allows, the least of all ranks; one inter-op thread), deterministic algorithms on. BadInput if
/// "cuda" is asked for and absent, or if more ranks than GPUs share a host.
Placement bind_rank(const Communicator& communicator, const std::string& device, int64_t threads);

/// Collective. One line per rank, neighbours that differ only in their numbers on one line:
/// "ranks 0-3 on node1: cpu, 1 thread each (OMP_NUM_THREADS); cores 0-31". The same on every rank.
std::vector<std::string> rank_table(const Communicator& communicator, const Placement& placement);

/// "0-3,8" of ascending numbers.
std::string number_ranges(const std::vector<int>& numbers);

}  // namespace eidolon
