#include "cluster/nccl/collectives.h"

#include <c10/core/DeviceGuard.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>
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
#include "cluster/nccl/device_stream.h"

namespace eidolon {
namespace {

// The host may be this many collectives ahead of the device. Beyond it the host polls, which is where errors are noticed.
constexpr std::size_t max_in_flight = 64;

// A call is usually taken in within microseconds, while the shortest sleep takes some 70.
constexpr int looks_without_sleep = 1000;

/// " (...)" with NCCL's own words on what went wrong last, or nothing.
std::string detail_of(ncclComm_t communicator) {
  const char* const detail = ncclGetLastError(communicator);
  return detail == nullptr || *detail == '\0' ? "" : std::string(" (") + detail + ")";
}

void nccl_check(ncclResult_t result, ncclComm_t communicator, const char* call) {
  if (result == ncclSuccess) return;
  throw Fault(std::string(call) + " failed: " + ncclGetErrorString(result) + detail_of(communicator));
}

c10::Stream current_stream(const at::Device& device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device);
}

c10::Stream high_priority_stream(const at::Device& device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device, /*isHighPriority=*/true);
}

/// The stream as NCCL takes it.
cudaStream_t native(const c10::Stream& stream) {
  return static_cast<cudaStream_t>(c10::impl::VirtualGuardImpl(stream.device_type()).getStreamNativeHandle(stream));
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

class Group;

/// Of a communicator, for the sums that it has begun, which may outlive it.
struct Health {
  std::string place;  ///< "NCCL on rank 1, cuda:0"
  bool sound = true;

  /// Throws Fault once the communicator was aborted or left: from then on no sum is one, though its event takes place.
  void require() const {
    if (!sound) throw Fault(place + ": the communicator was aborted after an earlier failure");
  }
};

/// The tensor is held until LibTorch's stream has been ordered after the sum, so its memory is not handed out before.
class NcclReduction : public PendingReduction::Backend {
 public:
  NcclReduction(Tensor tensor, std::shared_ptr<c10::Event> done, std::weak_ptr<Group> group,
                std::shared_ptr<const Health> health)
      : tensor_(std::move(tensor)), done_(std::move(done)), group_(std::move(group)), health_(std::move(health)) {}

  ~NcclReduction() override {
    // An aborted sum may never end, and nothing may be ordered after it.
    if (handed_back_ || !health_->sound || std::uncaught_exceptions() > 0) return;
    try {
      hand_back();
    } catch (const std::exception& error) {
      log::error(error.what());
    }
  }

  bool test() override;

  void wait() override {
    health_->require();
    if (!handed_back_) hand_back();
  }

 private:
  void hand_back() {
    done_->block(current_stream(tensor_.device()));
    handed_back_ = true;
  }

  Tensor tensor_;
  std::shared_ptr<c10::Event> done_;
  std::weak_ptr<Group> group_;
  std::shared_ptr<const Health> health_;
  bool handed_back_ = false;
};

/// Over a communicator whose calls do not block: whatever they leave in progress is polled, so that an error of another rank
/// is noticed and no wait is without a deadline (NCCL User Guide, "Fault Tolerance").
class Group : public NcclGroup, public std::enable_shared_from_this<Group> {
 public:
  Group(MPI_Comm control, at::Device device, double deadline_seconds)
      : device_(device), deadline_seconds_(deadline_seconds), stream_(high_priority_stream(device)) {
    const c10::DeviceGuard guard(device_);
    int rank = 0, size = 1;
    mpi_check(MPI_Comm_rank(control, &rank), "MPI_Comm_rank");
    mpi_check(MPI_Comm_size(control, &size), "MPI_Comm_size");
    health_->place = "NCCL on rank " + std::to_string(rank) + ", " + device_.str();
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
    if (communicator_ == nullptr) return;
    if (std::uncaught_exceptions() > 0) {
      health_->sound = false;
      return;
    }
    try {
      const c10::DeviceGuard guard(device_);
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
      settle(ncclAllReduce(data, data, tensor.numel(), type, ncclSum, communicator_, native(stream_)), "ncclAllReduce");
    });
    return std::make_unique<NcclReduction>(tensor, std::move(done), weak_from_this(), health_);
  }

  void broadcast(Tensor& tensor, int root) override {
    auto done = enqueue([&] {
      void* data = tensor.data_ptr();
      settle(ncclBroadcast(data, data, tensor.nbytes(), ncclUint8, root, communicator_, native(stream_)), "ncclBroadcast");
    });
    done->block(current_stream(device_));
  }

  void drain() override {
    health_->require();
    while (!in_flight_.empty()) {
      wait_on_host(*in_flight_.front());
      in_flight_.pop_front();
    }
  }

  /// Success or in progress; any error aborts.
  ncclResult_t asynchronous_state() {
    ncclResult_t state = ncclSuccess;
    const ncclResult_t asked = ncclCommGetAsyncError(communicator_, &state);
    if (asked != ncclSuccess) state = asked;
    if (state != ncclSuccess && state != ncclInProgress) abort(ncclGetErrorString(state));
    return state;
  }

 private:
  /// LibTorch's stream -> event -> our stream -> collective -> event, which the caller hands back to LibTorch's stream.
  template <typename Collective>
  std::shared_ptr<c10::Event> enqueue(Collective collective) {
    health_->require();
    const c10::DeviceGuard guard(device_);
    if (in_flight_.size() >= max_in_flight) {
      wait_on_host(*in_flight_.front());
      in_flight_.pop_front();
    }
    c10::Event ready(device_.type());  // without timing, which would make it slower
    ready.record(current_stream(device_));
    ready.block(stream_);
    collective_clock::enter();
    collective();
    auto done = std::make_shared<c10::Event>(device_.type());
    done->record(stream_);
    call_on_host(stream_, [](void*) { collective_clock::finish(); });
    in_flight_.push_back(done);
    return done;
  }

  /// Waits until a call has been taken in: only then may its stream be asked, or the communicator be used again.
  void settle(ncclResult_t result, const char* call) {
    if (result == ncclInProgress) return poll(call, [&] { return asynchronous_state() == ncclSuccess; });
    if (result != ncclSuccess) abort(std::string(call) + " failed: " + ncclGetErrorString(result));
  }

  void wait_on_host(const c10::Event& done) {
    poll("a collective", [&] {
      asynchronous_state();
      return done.query();
    });
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
        const auto whole = static_cast<int>(deadline_seconds_);
        abort(std::string(what) + " gave no answer within its deadline of " + std::to_string(whole) + " s");
      }
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
  }

  [[noreturn]] void abort(const std::string& reason) {
    std::string text = health_->place + ": " + reason + detail_of(communicator_);
    health_->sound = false;
    in_flight_.clear();
    // Null where it could not even be made.
    if (const ncclComm_t aborted = std::exchange(communicator_, nullptr); aborted != nullptr) {
      const ncclResult_t result = ncclCommAbort(aborted);
      if (result != ncclSuccess) text += std::string("; ncclCommAbort: ") + ncclGetErrorString(result);
    }
    throw Fault(text);
  }

  at::Device device_;
  std::shared_ptr<Health> health_ = std::make_shared<Health>();
  double deadline_seconds_;
  c10::Stream stream_;
  ncclComm_t communicator_ = nullptr;
  std::deque<std::shared_ptr<c10::Event>> in_flight_;
};

bool NcclReduction::test() {
  health_->require();
  if (handed_back_) return true;
  // Else a loop of tests would never hear of an error.
  if (const std::shared_ptr<Group> group = group_.lock()) group->asynchronous_state();
  if (!done_->query()) return false;
  hand_back();
  return true;
}

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
