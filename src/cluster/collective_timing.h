// How fast the ranks can sum: latency and bandwidth of all-reduce.
#pragma once

#include <cstdint>
#include <vector>

#include "cluster/communicator.h"

namespace eidolon {

struct CollectiveTiming {
  int64_t bytes = 0;
  double seconds = 0;  ///< median over repetitions, of the slowest rank
};

/// Collective. Sums of float32 tensors on `device`, from 4 bytes to 64 MiB in steps of 16. Fault if a sum is wrong.
std::vector<CollectiveTiming> time_all_reduce(const Communicator& communicator, at::Device device);

}  // namespace eidolon
