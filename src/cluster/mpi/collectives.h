// All-reduce and broadcast of CPU tensors by MPI.
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
void mpi_broadcast(MPI_Comm communicator, void* bytes, int64_t length, int root);

}  // namespace eidolon
