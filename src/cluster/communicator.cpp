#include "cluster/communicator.h"

#include <mpi.h>

#include <chrono>
#include <climits>
#include <exception>
#include <numeric>
#include <thread>
#include <utility>

#include "base/error.h"
#include "cluster/liveness/collective_clock.h"
#include "cluster/log.h"
#include "cluster/mpi/collectives.h"
#include "cluster/mpi/session.h"
#include "cluster/nccl/collectives.h"
#include "cluster/stop_notification.h"

namespace eidolon {
namespace {

// The watchdog can name the rank that hangs and goes first; this is for programs that run without one.
constexpr double grace_seconds = 30;

void require_plain(const Tensor& tensor, const char* what) {
  if (!tensor.defined()) throw Fault(std::string(what) + " was given no tensor");
  if (!tensor.is_contiguous()) throw Fault(std::string(what) + " needs a contiguous tensor");
}

void require_summable(const Tensor& tensor) {
  require_plain(tensor, "all_reduce_sum");
  const at::ScalarType type = tensor.scalar_type();
  if (type == at::kFloat || type == at::kDouble || type == at::kLong) return;
  throw Fault(std::string("all_reduce_sum takes float32, float64 and int64, not ") + at::toString(type));
}

MPI_Comm duplicate_of_world() {
  MPI_Comm duplicate = MPI_COMM_NULL;
  mpi_check(MPI_Comm_dup(MPI_COMM_WORLD, &duplicate), "MPI_Comm_dup");
  mpi_check(MPI_Comm_set_errhandler(duplicate, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  return duplicate;
}

bool mpi_is_gone() {
  int finalized = 0;
  return MPI_Finalized(&finalized) != MPI_SUCCESS || finalized != 0;
}

}  // namespace

struct Communicator::State {
  MPI_Comm tensors = MPI_COMM_NULL;  ///< sums and broadcasts of CPU tensors
  MPI_Comm control = MPI_COMM_NULL;  ///< numbers, texts, stop notifications
  int rank = 0;
  int size = 1;
  double deadline_seconds = 600;
  std::unique_ptr<StopNotification> stop_notification;
  std::shared_ptr<NcclGroup> nccl;  ///< of this rank's own device, from use_device() on
  int exceptions_at_birth = 0;

  explicit State(double deadline);
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  bool by_nccl(const Tensor& tensor) const { return nccl && nccl->device() == tensor.device(); }
};

Communicator::State::State(double deadline) : deadline_seconds(deadline), exceptions_at_birth(std::uncaught_exceptions()) {
  mpi_check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  tensors = duplicate_of_world();
  control = duplicate_of_world();
  mpi_check(MPI_Comm_rank(control, &rank), "MPI_Comm_rank");
  mpi_check(MPI_Comm_size(control, &size), "MPI_Comm_size");
  stop_notification = std::make_unique<StopNotification>(control, rank, size);
}

// Orderly leave is collective. A rank that leaves by an exception must not wait for the others, who may be elsewhere: its exit
// code ends the job.
Communicator::State::~State() {
  if (std::uncaught_exceptions() > exceptions_at_birth || mpi_is_gone()) return;
  try {
    nccl.reset();
    stop_notification->drain();
    mpi_check(MPI_Comm_free(&control), "MPI_Comm_free");
    mpi_check(MPI_Comm_free(&tensors), "MPI_Comm_free");
  } catch (const std::exception& error) {
    log::warn(std::string("leaving the communicator: ") + error.what());
  }
}

PendingReduction::PendingReduction(std::unique_ptr<Backend> backend) : backend_(std::move(backend)) {}

bool PendingReduction::test() {
  if (backend_ && backend_->test()) backend_.reset();
  return backend_ == nullptr;
}

void PendingReduction::wait() {
  if (backend_) backend_->wait();
  backend_.reset();
}

Communicator::Communicator(std::shared_ptr<State> state) : state_(std::move(state)) {}
Communicator::Communicator(Communicator&&) noexcept = default;
Communicator& Communicator::operator=(Communicator&&) noexcept = default;
Communicator::~Communicator() = default;

Communicator Communicator::world(double deadline_seconds) {
  return Communicator(std::make_shared<State>(deadline_seconds));
}

int Communicator::rank() const {
  return state_->rank;
}
int Communicator::size() const {
  return state_->size;
}

void Communicator::use_device(at::Device device) const {
  if (size() == 1 || device.is_cpu()) return;
  {
    const collective_clock::Blocking blocking;
    state_->nccl = make_nccl_group(state_->control, device, state_->deadline_seconds + grace_seconds);
  }
  Tensor one = at::ones({1}, at::TensorOptions(at::kFloat).device(device));
  all_reduce_sum(one);
  state_->nccl->drain();
  if (const auto sum = one.item<float>(); sum != static_cast<float>(size()))
    throw Fault("NCCL's sum of ones over " + std::to_string(size()) + " ranks is " + std::to_string(sum) +
                "; check its installation with `eidolon doctor`, or set run.device = \"cpu\"");
}

// MPI_Allreduce would be faster to call, but adds in another order than MPI_Iallreduce: with three ranks the last bits differ.
void Communicator::all_reduce_sum(Tensor& tensor) const {
  start_all_reduce_sum(tensor).wait();
}

PendingReduction Communicator::start_all_reduce_sum(Tensor& tensor) const {
  require_summable(tensor);
  if (tensor.numel() == 0) return PendingReduction();
  if (tensor.is_cpu()) return PendingReduction(start_mpi_sum(state_->tensors, tensor));
  if (size() == 1) return PendingReduction();
  if (state_->by_nccl(tensor)) return PendingReduction(state_->nccl->start_sum(tensor));
  return PendingReduction(start_staged_sum(state_->tensors, tensor));
}

void Communicator::broadcast(Tensor& tensor, int root) const {
  require_plain(tensor, "broadcast");
  if (tensor.numel() == 0) return;
  if (!tensor.is_cpu() && size() == 1) return;
  if (state_->by_nccl(tensor)) return state_->nccl->broadcast(tensor, root);
  Tensor host = tensor.cpu();  // itself, if it lies there
  mpi_broadcast(state_->tensors, host.data_ptr(), static_cast<int64_t>(host.nbytes()), root);
  const at::NoGradGuard no_gradients;
  if (!host.is_same(tensor)) tensor.copy_(host);
}

void Communicator::barrier() const {
  if (state_->nccl) state_->nccl->drain();
  const collective_clock::Blocking blocking;
  mpi_check(MPI_Barrier(state_->control), "MPI_Barrier");
}

void Communicator::barrier(const std::function<void()>& meanwhile) const {
  if (state_->nccl) state_->nccl->drain();
  const collective_clock::Blocking blocking;
  MPI_Request all_here = MPI_REQUEST_NULL;
  mpi_check(MPI_Ibarrier(state_->control, &all_here), "MPI_Ibarrier");
  for (int done = 0; done == 0;) {
    mpi_check(MPI_Test(&all_here, &done, MPI_STATUS_IGNORE), "MPI_Test");
    if (done != 0) break;
    meanwhile();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

int64_t Communicator::max(int64_t value) const {
  const collective_clock::Blocking blocking;
  mpi_check(MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_INT64_T, MPI_MAX, state_->control), "MPI_Allreduce");
  return value;
}

// Added in the order of the ranks, so that every rank gets the same bits whatever algorithm MPI would choose.
double Communicator::sum(double value) const {
  const collective_clock::Blocking blocking;
  std::vector<double> values(size());
  mpi_check(MPI_Allgather(&value, 1, MPI_DOUBLE, values.data(), 1, MPI_DOUBLE, state_->control), "MPI_Allgather");
  return std::accumulate(values.begin(), values.end(), 0.0);
}

std::string Communicator::broadcast_text(const std::string& text, int root) const {
  auto length = static_cast<int64_t>(text.size());
  mpi_broadcast(state_->control, &length, sizeof length, root);
  std::string result = text;
  result.resize(length);
  mpi_broadcast(state_->control, result.data(), length, root);
  return result;
}

std::vector<std::string> Communicator::gather_texts(const std::string& text) const {
  const collective_clock::Blocking blocking;
  const auto own_length = static_cast<int64_t>(text.size());
  std::vector<int64_t> lengths(size());
  mpi_check(MPI_Allgather(&own_length, 1, MPI_INT64_T, lengths.data(), 1, MPI_INT64_T, state_->control), "MPI_Allgather");
  const int64_t total = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  if (total > INT_MAX) throw Fault("gather_texts: the texts of all ranks exceed 2 GiB together");

  const std::vector<int> counts(lengths.begin(), lengths.end());
  std::vector<int> offsets(size());
  std::exclusive_scan(counts.begin(), counts.end(), offsets.begin(), 0);
  std::string all(total, '\0');
  mpi_check(MPI_Allgatherv(text.data(), static_cast<int>(own_length), MPI_CHAR, all.data(), counts.data(), offsets.data(),
                           MPI_CHAR, state_->control),
            "MPI_Allgatherv");
  std::vector<std::string> texts;
  for (int from = 0; from < size(); ++from) texts.push_back(all.substr(offsets[from], counts[from]));
  return texts;
}

bool Communicator::spread_stop(bool requested_here) const {
  return state_->stop_notification->spread(requested_here);
}

int64_t Communicator::collectives() const {
  return collective_clock::entered();
}

}  // namespace eidolon
