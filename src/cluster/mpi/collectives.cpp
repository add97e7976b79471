#include "cluster/mpi/collectives.h"

#include <algorithm>
#include <exception>
#include <string>
#include <utility>

#include "base/error.h"
#include "cluster/liveness/collective_clock.h"
#include "cluster/log.h"
#include "cluster/mpi/session.h"

namespace eidolon {
namespace {

MPI_Datatype mpi_type(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return MPI_FLOAT;
    case at::kDouble:
      return MPI_DOUBLE;
    case at::kLong:
      return MPI_INT64_T;
    default:
      throw Fault(std::string("tensors of type ") + at::toString(type) + " cannot be summed over ranks");
  }
}

/// Open MPI makes progress only inside MPI calls, so overlap with computation needs calls of test().
class MpiReduction : public PendingReduction::Backend {
 public:
  MpiReduction(MPI_Comm communicator, Tensor& tensor) : tensor_(tensor) {
    const MPI_Datatype type = mpi_type(tensor.scalar_type());
    auto* at = static_cast<char*>(tensor.data_ptr());
    collective_clock::enter();
    for (const int length : message_lengths(tensor.numel())) {
      requests_.push_back(MPI_REQUEST_NULL);
      mpi_check(MPI_Iallreduce(MPI_IN_PLACE, at, length, type, MPI_SUM, communicator, &requests_.back()), "MPI_Iallreduce");
      at += length * tensor.element_size();
    }
  }

  ~MpiReduction() override {
    if (finished_) return;
    if (std::uncaught_exceptions() >
        0) {  // other ranks may never join: do not wait, and leak the memory that MPI may still write
      new Tensor(std::move(tensor_));
      return;
    }
    try {
      wait();
    } catch (const std::exception& error) {
      log::error(error.what());
    }
  }

  bool test() override {
    if (finished_) return true;
    int all = 0;
    mpi_check(MPI_Testall(count(), requests_.data(), &all, MPI_STATUSES_IGNORE), "MPI_Testall");
    if (all != 0) finish();
    return finished_;
  }

  void wait() override {
    if (finished_) return;
    mpi_check(MPI_Waitall(count(), requests_.data(), MPI_STATUSES_IGNORE), "MPI_Waitall");
    finish();
  }

 private:
  int count() const { return static_cast<int>(requests_.size()); }
  void finish() {
    finished_ = true;
    collective_clock::finish();
  }

  Tensor tensor_;  // keeps the memory alive
  std::vector<MPI_Request> requests_;
  bool finished_ = false;
};

class StagedReduction : public PendingReduction::Backend {
 public:
  StagedReduction(MPI_Comm communicator, Tensor& tensor) : tensor_(tensor), host_(tensor.cpu()), sum_(communicator, host_) {}

  bool test() override {
    if (!returned_ && sum_.test()) give_back();
    return returned_;
  }

  void wait() override {
    if (returned_) return;
    sum_.wait();
    give_back();
  }

 private:
  void give_back() {
    const at::NoGradGuard no_gradients;
    tensor_.copy_(host_);
    returned_ = true;
  }

  Tensor tensor_;
  Tensor host_;
  MpiReduction sum_;
  bool returned_ = false;
};

}  // namespace

std::vector<int> message_lengths(int64_t count, int64_t limit) {
  std::vector<int> lengths;
  for (int64_t left = count; left > 0; left -= limit) lengths.push_back(static_cast<int>(std::min(left, limit)));
  return lengths;
}

std::unique_ptr<PendingReduction::Backend> start_mpi_sum(MPI_Comm communicator, Tensor& tensor) {
  return std::make_unique<MpiReduction>(communicator, tensor);
}

std::unique_ptr<PendingReduction::Backend> start_staged_sum(MPI_Comm communicator, Tensor& tensor) {
  return std::make_unique<StagedReduction>(communicator, tensor);
}

void mpi_broadcast(MPI_Comm communicator, void* bytes, int64_t length, int root) {
  const collective_clock::Blocking blocking;
  auto* at = static_cast<char*>(bytes);
  for (const int part : message_lengths(length)) {
    mpi_check(MPI_Bcast(at, part, MPI_BYTE, root, communicator), "MPI_Bcast");
    at += part;
  }
}

}  // namespace eidolon
