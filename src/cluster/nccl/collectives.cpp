#include "cluster/nccl/collectives.h"

#include <ATen/cuda/CUDAEvent.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <nccl.h>

#include <chrono>
#include <deque>
#include <exception>
#include <string>
#include <thread>
#include <utility>

#include "base/error.h"
#include "cluster/communicator.h"
#include "cluster/liveness/collective_clock.h"
#include "cluster/log.h"
#include "cluster/mpi/session.h"

namespace eidolon {
namespace {

using Event = at::cuda::CUDAEvent;  // without timing, which would make it slower

// The host may be this many collectives ahead of the device. Beyond it the host polls, which is where errors are noticed.
constexpr std::size_t max_in_flight = 64;

// A call is usually taken in within microseconds, while the shortest sleep takes some 70.
constexpr int looks_without_sleep = 1000;

// The watchdog can name the rank that hangs and goes first; this is for programs that run without one.
constexpr double grace_seconds = 30;

void nccl_check(ncclResult_t result, ncclComm_t communicator, const char* call) {
  if (result == ncclSuccess) return;
  const char* detail = ncclGetLastError(communicator);
  const std::string more = detail != nullptr && *detail != '\0' ? std::string(" (") + detail + ")" : "";
  throw Fault(std::string(call) + " failed: " + ncclGetErrorString(result) + more);
}

void cuda_check(cudaError_t result, const char* call) {
  if (result != cudaSuccess) throw Fault(std::string(call) + " failed: " + cudaGetErrorString(result));
}

ncclDataType_t nccl_type(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return ncclFloat32;
    case at::kDouble:
      return ncclFloat64;
    case at::kLong:
      return ncclInt64;
    default:
      throw Fault(std::string("tensors of type ") + at::toString(type) + " cannot be summed over ranks");
  }
}

/// The tensor is held until LibTorch's stream has been ordered after the sum, so its memory is not handed out before.
class NcclReduction : public PendingReduction::Backend {
 public:
  NcclReduction(Tensor tensor, std::shared_ptr<Event> done) : tensor_(std::move(tensor)), done_(std::move(done)) {}

  ~NcclReduction() override {
    if (handed_back_ || std::uncaught_exceptions() > 0) return;
    try {
      wait();
    } catch (const std::exception& error) {
      log::error(error.what());
    }
  }

  bool test() override {
    if (!done_->query()) return false;
    wait();
    return true;
  }

  void wait() override {
    if (handed_back_) return;
    done_->block(c10::cuda::getCurrentCUDAStream(tensor_.device().index()));
    handed_back_ = true;
  }

 private:
  Tensor tensor_;
  std::shared_ptr<Event> done_;
  bool handed_back_ = false;
};

/// Over a communicator whose calls do not block: whatever they leave in progress is polled, so that an error of another rank
/// is noticed and no wait is without a deadline (NCCL User Guide, "Fault Tolerance").
class Group : public NcclGroup {
 public:
  Group(MPI_Comm control, at::Device device, double deadline_seconds)
      : device_(device),
        deadline_seconds_(deadline_seconds + grace_seconds),
        stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/true, device.index())) {
    const c10::cuda::CUDAGuard guard(device_);
    int rank = 0, size = 1;
    mpi_check(MPI_Comm_rank(control, &rank), "MPI_Comm_rank");
    mpi_check(MPI_Comm_size(control, &size), "MPI_Comm_size");
    ncclUniqueId id{};
    if (rank == 0) nccl_check(ncclGetUniqueId(&id), nullptr, "ncclGetUniqueId");
    mpi_check(MPI_Bcast(&id, sizeof id, MPI_BYTE, 0, control), "MPI_Bcast");
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    settle(ncclCommInitRankConfig(&communicator_, size, id, rank, &config), "ncclCommInitRankConfig");
  }

  // ncclCommFinalize waits for the other ranks. A rank that leaves by an exception leaves the communicator to the process's
  // end.
  ~Group() override {
    if (communicator_ == nullptr || std::uncaught_exceptions() > 0) return;
    try {
      const c10::cuda::CUDAGuard guard(device_);
      drain();
      settle(ncclCommFinalize(communicator_), "ncclCommFinalize");
      nccl_check(ncclCommDestroy(communicator_), nullptr, "ncclCommDestroy");
    } catch (const std::exception& error) {
      log::warn(error.what());
    }
  }

  at::Device device() const override { return device_; }

  std::unique_ptr<PendingReduction::Backend> start_sum(Tensor& tensor) override {
    const ncclDataType_t type = nccl_type(tensor.scalar_type());
    auto done = enqueue([&] {
      void* data = tensor.data_ptr();
      settle(ncclAllReduce(data, data, tensor.numel(), type, ncclSum, communicator_, stream_), "ncclAllReduce");
    });
    return std::make_unique<NcclReduction>(tensor, std::move(done));
  }

  void broadcast(Tensor& tensor, int root) override {
    auto done = enqueue([&] {
      void* data = tensor.data_ptr();
      settle(ncclBroadcast(data, data, tensor.nbytes(), ncclUint8, root, communicator_, stream_), "ncclBroadcast");
    });
    done->block(c10::cuda::getCurrentCUDAStream(device_.index()));
  }

  void drain() override {
    while (!in_flight_.empty()) {
      wait_on_host(*in_flight_.front());
      in_flight_.pop_front();
    }
  }

 private:
  /// LibTorch's stream -> event -> our stream -> collective -> event, which the caller hands back to LibTorch's stream.
  template <typename Collective>
  std::shared_ptr<Event> enqueue(Collective collective) {
    if (communicator_ == nullptr) throw Fault("the NCCL communicator was aborted after an earlier failure");
    const c10::cuda::CUDAGuard guard(device_);
    if (in_flight_.size() >= max_in_flight) {
      wait_on_host(*in_flight_.front());
      in_flight_.pop_front();
    }
    Event ready;
    ready.record(c10::cuda::getCurrentCUDAStream(device_.index()));
    ready.block(stream_);
    collective_clock::enter();
    collective();
    auto done = std::make_shared<Event>();
    done->record(stream_);
    cuda_check(cudaLaunchHostFunc(
                   stream_, [](void*) { collective_clock::finish(); }, nullptr),
               "cudaLaunchHostFunc");
    in_flight_.push_back(done);
    return done;
  }

  /// Waits until a call has been taken in: only then may its stream be asked, or the communicator be used again.
  void settle(ncclResult_t result, const char* call) {
    if (result != ncclInProgress) return nccl_check(result, communicator_, call);
    poll(call, [&] { return asynchronous_state() == ncclSuccess; });
  }

  void wait_on_host(const Event& done) {
    poll("a collective", [&] {
      asynchronous_state();
      return done.query();
    });
  }

  /// Success or in progress; any error aborts.
  ncclResult_t asynchronous_state() {
    ncclResult_t state = ncclSuccess;
    nccl_check(ncclCommGetAsyncError(communicator_, &state), communicator_, "ncclCommGetAsyncError");
    if (state != ncclSuccess && state != ncclInProgress) abort(ncclGetErrorString(state));
    return state;
  }

  template <typename Condition>
  void poll(const char* what, Condition finished) {
    for (int look = 0; look < looks_without_sleep; ++look) {
      if (finished()) return;
    }
    const auto start = std::chrono::steady_clock::now();
    while (!finished()) {
      const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - start;
      if (waited.count() > deadline_seconds_) {
        abort(std::string(what) + " gave no answer for " + std::to_string(static_cast<int>(waited.count())) + " s");
      }
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
  }

  [[noreturn]] void abort(const std::string& reason) {
    const std::string detail = ncclGetLastError(communicator_);
    in_flight_.clear();
    const ncclResult_t result = ncclCommAbort(std::exchange(communicator_, nullptr));
    const std::string also = result == ncclSuccess ? "" : std::string("; ncclCommAbort: ") + ncclGetErrorString(result);
    throw Fault("NCCL on " + device_.str() + ": " + reason + (detail.empty() ? "" : " (" + detail + ")") + also);
  }

  at::Device device_;
  double deadline_seconds_;
  c10::cuda::CUDAStream stream_;
  ncclComm_t communicator_ = nullptr;
  std::deque<std::shared_ptr<Event>> in_flight_;
};

}  // namespace

bool nccl_in_build() {
  return true;
}

std::string nccl_version() {
  int version = 0;
  nccl_check(ncclGetVersion(&version), nullptr, "ncclGetVersion");
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." + std::to_string(version % 100);
}

std::shared_ptr<NcclGroup> make_nccl_group(MPI_Comm control, at::Device device, double deadline_seconds) {
  return std::make_shared<Group>(control, device, deadline_seconds);
}

}  // namespace eidolon
