// All-reduce and broadcast of CUDA tensors by NCCL. absent.cpp implements it in a build without NCCL.
#pragma once

#include <mpi.h>

#include <memory>

#include "cluster/communicator.h"

namespace eidolon {

/// An NCCL communicator over all ranks. Its calls do not block the host unless stated.
struct NcclGroup {
  virtual ~NcclGroup() = default;
  virtual at::Device device() const = 0;
  /// Starts an all-reduce in place, ordered after the work queued on LibTorch's current stream. wait() orders that
  /// stream after the sum.
  virtual std::unique_ptr<PendingReduction::Backend> start_sum(Tensor& tensor) = 0;
  virtual void broadcast(Tensor& tensor, int root) = 0;
  /// Blocks the host until all collectives started have finished. Throws Fault if NCCL reports an error or the deadline
  /// passes.
  virtual void drain() = 0;
};

/// Collective over `control`. Waits of the host end with a Fault after `deadline_seconds`. Throws Fault if NCCL cannot start
/// or this build has none.
std::shared_ptr<NcclGroup> make_nccl_group(MPI_Comm control, at::Device device, double deadline_seconds);

}  // namespace eidolon
