// Placement: the host, cores, device and threads of each rank.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "cluster/communicator.h"

namespace eidolon {

struct Placement {
  std::string host;
  std::string cores;   ///< the CPUs of the affinity mask, e.g. "0-3,8"
  int local_rank = 0;  ///< among the ranks of this host
  int local_size = 1;
  at::Device device = at::kCPU;  ///< cuda:(local_rank mod visible devices) or cpu
  int64_t ranks_on_device = 1;   ///< that share the device, if it is none of the CPU
  int64_t threads = 1;
  std::string threads_bound_by = {};  ///< what bounds `threads`, for rank_table(); empty if the job sets them
};

/// Collective. Selects the device, sets the numbers of LibTorch's threads and turns deterministic algorithms on.
///
/// `device` is one of device_kinds(), or "" for auto: CUDA if every rank has a usable device, and else the CPU, with a
/// warning where a GPU is there and cannot be used. Ranks may share a GPU: their sums then go through host memory, since
/// NCCL wants a device for each rank, and a warning says so. Otherwise the communicator uses the device from here on. `threads`
/// is the number of intra-op threads, or 0 for auto: the minimum over all ranks of bound_threads(), since images depend on it.
/// There is one inter-op thread. Throws BadInput if the kind that is given is absent on a rank.
Placement bind_rank(const Communicator& communicator, const std::string& device, int64_t threads);

/// Collective. Text lines that say which rank runs where, the same on all ranks. Consecutive ranks that differ only in
/// their cores or device index share a line: "ranks 0-3 on node1: cpu, 1 thread each (OMP_NUM_THREADS); cores 0-31".
std::vector<std::string> rank_table(const Communicator& communicator, const Placement& placement);

/// Ascending numbers as ranges, e.g. "0-3,8".
std::string number_ranges(const std::vector<int>& numbers);

}  // namespace eidolon
