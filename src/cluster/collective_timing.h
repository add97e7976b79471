// Measures latency and bandwidth of the all-reduce over all ranks.
#pragma once

#include <cstdint>
#include <vector>

#include "cluster/communicator.h"

namespace eidolon {

struct CollectiveTiming {
  int64_t bytes = 0;
  double seconds = 0;  ///< of the slowest rank; median over the repetitions
};

/// Collective. Times all-reduces of float32 tensors on `device`, from 4 bytes to 64 MiB by factors of 16. Throws Fault
/// if a sum is wrong.
std::vector<CollectiveTiming> time_all_reduce(const Communicator& communicator, at::Device device);

}  // namespace eidolon
