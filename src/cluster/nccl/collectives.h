// Sums and broadcasts of CUDA tensors by NCCL. Implemented by collectives.cpp, or by absent.cpp in a build without.
#pragma once

#include <mpi.h>

#include <memory>

#include "cluster/communicator.h"

namespace eidolon {

struct NcclGroup {
  virtual ~NcclGroup() = default;
  virtual at::Device device() const = 0;
  /// Ordered after the work queued on LibTorch's current stream. wait() orders that stream after the sum; the host goes on.
  virtual std::unique_ptr<PendingReduction::Backend> start_sum(Tensor& tensor) = 0;
  virtual void broadcast(Tensor& tensor, int root) = 0;
  /// Blocks the host until everything started has finished. Fault if NCCL reports an error or the deadline passes.
  virtual void drain() = 0;
};

/// Collective over `control`. Fault if NCCL cannot start, or if this build has none.
std::shared_ptr<NcclGroup> make_nccl_group(MPI_Comm control, at::Device device, double deadline_seconds);

}  // namespace eidolon
