// Collective communication: all-reduce and broadcast of tensors, and small control messages.
//
// CPU tensors go through MPI. Tensors of the device given to use_device() go through NCCL; all others, and those of a
// device that several ranks share, through a copy in host memory. Control messages use a duplicate of the MPI
// communicator. All calls are collective unless stated otherwise: every rank makes
// the same calls in the same order. Failures throw Fault with the library's text. The design follows TorchFort's Comm
// and arbor's distributed context.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/tensor.h"

namespace eidolon {

/// A reduction in progress. Call wait() before the tensor is read. Move only; the destructor waits.
///
/// For a CUDA tensor wait() does not block the host. It orders LibTorch's current stream after the sum, so kernels
/// queued later read the result.
class PendingReduction {
 public:
  /// Implemented by MPI requests (cluster/mpi) and by events of the device (cluster/nccl).
  struct Backend {
    virtual ~Backend() = default;
    virtual bool test() = 0;  ///< lets MPI make progress; true when finished
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
  /// Duplicates MPI_COMM_WORLD and sets MPI_ERRORS_RETURN on it and on the duplicates. MPI must be initialised
  /// (MpiSession). Waits of the host for a GPU end with a Fault 30 s after `deadline_seconds`. Pass the deadline of the
  /// Heartbeat: its watchdog guards all other waits and can name the rank that hangs.
  static Communicator world(double deadline_seconds = 600);
  Communicator(Communicator&&) noexcept;
  Communicator& operator=(Communicator&&) noexcept;
  ~Communicator();  ///< collective, unless an exception is in flight: this rank then leaves without the others

  int rank() const;
  int size() const;

  /// Collective. Sums and broadcasts of tensors on `device`, which no other rank uses, go through NCCL from here on. The
  /// group is made and one sum is checked now, so that a broken installation shows before hours of work. One rank needs
  /// no group. Throws Fault if NCCL cannot start or gives a wrong sum.
  void use_device(at::Device device) const;

  void all_reduce_sum(Tensor& tensor) const;                    ///< in place; float32, float64, int64; contiguous
  PendingReduction start_all_reduce_sum(Tensor& tensor) const;  ///< same arithmetic as all_reduce_sum, bit for bit
  void broadcast(Tensor& tensor, int root = 0) const;           ///< in place; any dtype; contiguous; same shape on all ranks

  void barrier() const;  ///< also waits until the CUDA collectives started so far have finished
  /// The same, but calls `meanwhile` every 20 ms and sleeps in between, which leaves the core to other processes.
  void barrier(const std::function<void()>& meanwhile) const;
  int64_t max(int64_t value) const;
  double sum(double value) const;
  std::string broadcast_text(const std::string& text, int root = 0) const;
  std::vector<std::string> gather_texts(const std::string& text) const;  ///< an all-gather; indexed by rank

  /// True once `requested_here` was true on this rank or a stop notification of another rank has arrived. Not
  /// collective. See cluster/stop_notification.h; call Cluster::stop_requested() instead.
  bool spread_stop(bool requested_here) const;

  /// The number of collectives that this process has begun (cluster/liveness/collective_clock.h). Not collective.
  int64_t collectives() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
  explicit Communicator(std::shared_ptr<State> state);
};

/// Whether this build can send CUDA tensors between ranks directly.
bool nccl_in_build();

/// The version of the NCCL library, for provenance: "2.28.9", or "none in this build".
std::string nccl_version();

}  // namespace eidolon
