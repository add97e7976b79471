// All-reduce and broadcast by MPI: of CPU tensors in place, of others through a copy in host memory.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "cluster/communicator.h"

namespace eidolon {

/// Splits `count` elements into messages of at most `limit`, since MPI counts are `int`: {limit, limit, ..., rest}.
/// Empty for a count of 0.
std::vector<int> message_lengths(int64_t count, int64_t limit = int64_t{1} << 30);

/// Starts an all-reduce in place. float32, float64, int64; contiguous.
std::unique_ptr<PendingReduction::Backend> start_mpi_sum(MPI_Comm communicator, Tensor& tensor);

/// The same for a tensor on a device that MPI cannot reach: waits for the device, sums a copy in host memory, and copies
/// the sum back on LibTorch's current stream once test() or wait() finds it finished. The same bits as on the CPU.
std::unique_ptr<PendingReduction::Backend> start_staged_sum(MPI_Comm communicator, Tensor& tensor);

void mpi_broadcast(MPI_Comm communicator, void* bytes, int64_t length, int root);

}  // namespace eidolon
