// One Communicator: sums and broadcasts of tensors, and small control messages.
//
// CPU tensors travel by MPI, CUDA tensors by NCCL, chosen by the tensor's device at each call. Control messages go over a
// duplicate of the MPI communicator. All calls are collective: every rank makes the same calls in the same order. Failures
// throw Fault with the library's text. After TorchFort's Comm and arbor's distributed context.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/tensor.h"

namespace eidolon {

/// A started reduction; wait() before the tensor is read. Move only. Destroying an unfinished one waits. For CUDA tensors
/// wait() orders LibTorch's current stream after the sum and the host goes on; "read" means by a kernel queued later.
class PendingReduction {
 public:
  struct Backend {  ///< two implementations: MPI request, CUDA event
    virtual ~Backend() = default;
    virtual bool test() = 0;  ///< makes progress; true when finished
    virtual void wait() = 0;
  };
  PendingReduction() = default;
  explicit PendingReduction(std::unique_ptr<Backend> backend);
  bool test();
  void wait();

 private:
  std::unique_ptr<Backend> backend_;
};

class Communicator {
 public:
  /// Over duplicates of MPI_COMM_WORLD, with MPI_ERRORS_RETURN set on it and on them. Collective; MPI must be initialised
  /// (MpiSession in cluster/cluster.h). Where the host waits for a GPU it gives up 30 s after `deadline_seconds`; pass the
  /// deadline of the Heartbeat, whose watchdog guards every other wait and can name the rank that hangs.
  static Communicator world(double deadline_seconds = 600);
  Communicator(Communicator&&) noexcept;
  Communicator& operator=(Communicator&&) noexcept;
  ~Communicator();  ///< collective, unless an exception is in flight: then this rank leaves alone

  int rank() const;
  int size() const;

  void all_reduce_sum(Tensor& tensor) const;                    ///< in place; float32, float64, int64; contiguous
  PendingReduction start_all_reduce_sum(Tensor& tensor) const;  ///< same arithmetic as all_reduce_sum, bit for bit
  void broadcast(Tensor& tensor, int root = 0) const;           ///< in place; any dtype; contiguous; same shape on all ranks

  void barrier() const;  ///< also waits until the CUDA collectives started so far have finished
  /// The same, calling `meanwhile` every 20 ms, so that a rank which waits for long still hears of a stop, and leaves its core
  /// to others.
  void barrier(const std::function<void()>& meanwhile) const;
  int64_t max(int64_t value) const;
  double sum(double value) const;
  std::string broadcast_text(const std::string& text, int root = 0) const;
  std::vector<std::string> gather_texts(const std::string& text) const;  ///< on every rank, by rank

  /// True once `requested_here` was true on this rank, or another rank's word of it has arrived. Not collective; a rank says
  /// its word once, by a small message to each other rank. Cluster::stop_requested() is the caller.
  bool spread_stop(bool requested_here) const;

  /// The number of the newest collective of this process; heartbeats publish it so that a hung rank can be named.
  int64_t collectives() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
  explicit Communicator(std::shared_ptr<State> state);
};

/// The version of the NCCL library, for provenance: "2.28.9", or "none in this build".
std::string nccl_version();

}  // namespace eidolon
