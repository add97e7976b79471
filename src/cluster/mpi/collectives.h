// Sums and broadcasts of CPU tensors by MPI.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "cluster/communicator.h"

namespace eidolon {

/// MPI counts are `int`: a longer tensor travels as several messages. {limit, limit, ..., rest}; empty for 0.
std::vector<int> message_lengths(int64_t count, int64_t limit = int64_t{1} << 30);

std::unique_ptr<PendingReduction::Backend> start_mpi_sum(MPI_Comm communicator, Tensor& tensor);
void mpi_broadcast(MPI_Comm communicator, void* bytes, int64_t length, int root);

}  // namespace eidolon
