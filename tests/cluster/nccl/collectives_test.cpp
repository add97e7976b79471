// The code that drives NCCL, with several ranks: over a stand-in for NCCL and the stand-in accelerator, a device per rank.
#include "cluster/nccl/collectives.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "cluster/communicator.h"
#include "cluster/liveness/collective_clock.h"
#include "tests/device/standin_accelerator.h"
#include "tests/device/test_device.h"

namespace eidolon {
namespace {

using Pending = std::unique_ptr<PendingReduction::Backend>;

constexpr double patient = 60, impatient = 8;  // seconds; on a busy machine a rank may be late by some

/// For the communicators made in its lifetime.
class Misbehaving {
 public:
  explicit Misbehaving(const std::string& how) {
    if (setenv("EIDOLON_STANDIN_NCCL", how.c_str(), /*overwrite=*/1) != 0) throw std::runtime_error("setenv failed");
  }
  ~Misbehaving() { unsetenv("EIDOLON_STANDIN_NCCL"); }
  Misbehaving(const Misbehaving&) = delete;
  Misbehaving& operator=(const Misbehaving&) = delete;
};

class Nccl : public ::testing::Test {
 protected:
  void SetUp() override {
    if (test_device().type() != at::kPrivateUse1) GTEST_SKIP() << "the stand-in NCCL knows the stand-in accelerator alone";
  }

  Communicator communicator = Communicator::world();
  int rank = communicator.rank();
  int ranks = communicator.size();
  at::Device device{test_device().type(), static_cast<at::DeviceIndex>(communicator.rank())};
  const int64_t once = int64_t{ranks} * (ranks + 1) / 2;  ///< the sum of rank + 1

  std::shared_ptr<NcclGroup> group(double deadline_seconds = patient) const {
    communicator.barrier();  // a rank may come from a deadline that others had not to wait for
    return make_nccl_group(MPI_COMM_WORLD, device, deadline_seconds);
  }

  Tensor filled(int64_t length, double value, at::ScalarType type = at::kLong) const {
    return at::full({length}, value, at::TensorOptions(type).device(device));
  }

  /// "NCCL on rank 1, standin:1", with which every message begins.
  std::string own_place() const { return "NCCL on rank " + std::to_string(rank) + ", standin:" + std::to_string(rank); }
};

/// The message of the Fault that `action` throws; empty if it throws none.
std::string fault_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Fault& fault) {
    return fault.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Numbers whose sum depends on the order of addition, different on each rank.
Tensor part_of(int rank, int64_t length, at::ScalarType type) {
  const Tensor index = at::arange(length, at::kDouble).add(1 + 17 * rank);
  const Tensor numbers = at::sin(index.mul(12.9898)).mul(43758.5453).frac().mul(at::exp(index.remainder(13)));
  return type == at::kLong ? numbers.mul(1e6).to(at::kLong) : numbers.to(type);
}

// -- What is computed -------------------------------------------------------------------------------------------------------

TEST_F(Nccl, SumsLikeMpi) {
  const auto nccl = group();
  EXPECT_EQ(nccl->device(), device);
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kLong}) {
    for (const int64_t length : {1, 1000, 100003}) {
      Tensor by_mpi = part_of(rank, length, type), tensor = by_mpi.to(device);
      communicator.all_reduce_sum(by_mpi);
      nccl->start_sum(tensor)->wait();
      const Tensor sum = tensor.cpu();
      // Two numbers have one sum; more may be added in another order.
      const bool same = type == at::kLong || ranks == 2 ? at::equal(sum, by_mpi) : at::allclose(sum, by_mpi, 1e-5, 1e-2);
      EXPECT_TRUE(same) << length << " of " << at::toString(type);
      Tensor in_order = part_of(0, length, type);
      for (int other = 1; other < ranks; ++other) in_order.add_(part_of(other, length, type));
      EXPECT_TRUE(at::equal(sum, in_order)) << length << " of " << at::toString(type);
    }
  }
}

TEST_F(Nccl, BroadcastsEveryTypeFromEveryRoot) {
  const auto nccl = group();
  for (const at::ScalarType type : {at::kFloat, at::kHalf, at::kByte, at::kLong, at::kBool, at::kComplexFloat}) {
    for (int root = 0; root < ranks; ++root) {
      const Tensor expected = at::arange(100003, at::kLong).remainder(root + 2).to(type);
      Tensor tensor = (rank == root ? expected : at::zeros_like(expected)).to(device);
      nccl->broadcast(tensor, root);
      EXPECT_TRUE(at::equal(tensor.cpu(), expected)) << at::toString(type) << " from " << root;
    }
  }
}

// -- Order ------------------------------------------------------------------------------------------------------------------

/// More than the host may be ahead by. Each block is given to all ranks by one of them and then summed: the other way round
/// its sum would be of different numbers.
TEST_F(Nccl, KeepsTheOrderOfManyInFlight) {
  const Misbehaving slow("slow,rank=1,ms=1");
  const auto nccl = group();
  constexpr int blocks = 50;
  std::vector<Tensor> tensors;
  std::vector<Pending> pending;
  for (int i = 0; i < blocks; ++i) {
    tensors.push_back(filled(100, 1000 * i + rank));
    nccl->broadcast(tensors.back(), i % ranks);
    pending.push_back(nccl->start_sum(tensors.back()));
  }
  for (const Pending& reduction : pending) reduction->wait();
  for (int i = 0; i < blocks; ++i)
    EXPECT_TRUE(at::equal(tensors[static_cast<size_t>(i)].cpu(), at::full({100}, ranks * (1000 * i + i % ranks), at::kLong)))
        << i;
}

TEST_F(Nccl, WhatIsQueuedBehindWaitReadsTheSum) {
  const Misbehaving slow("slow,rank=1,ms=100");
  const auto nccl = group();
  Tensor tensor = filled(100003, rank + 1);
  nccl->start_sum(tensor)->wait();
  const Tensor twice = tensor + tensor;
  EXPECT_TRUE(at::equal(twice.cpu(), at::full({100003}, 2 * once, at::kLong)));
  nccl->broadcast(tensor.fill_(rank), ranks - 1);
  EXPECT_TRUE(at::equal((tensor + 1).cpu(), at::full({100003}, ranks, at::kLong)));
}

TEST_F(Nccl, ASumDroppedWithoutAWaitIsWaitedFor) {
  const Misbehaving slow("slow,ms=100");
  const auto nccl = group();
  Tensor tensor = filled(1000, rank + 1);
  { const Pending dropped = nccl->start_sum(tensor); }
  EXPECT_TRUE(at::equal(tensor.cpu(), at::full({1000}, once, at::kLong)));
}

// -- Memory -----------------------------------------------------------------------------------------------------------------

TEST_F(Nccl, MemoryOfASumInFlightIsNotHandedOut) {
  const Misbehaving slow("slow,ms=100");
  const auto nccl = group();
  const int64_t before = standin::writes_to_released_memory();
  for (const bool drop_the_sum_first : {false, true}) {
    Tensor tensor = filled(100003, rank + 1);
    Pending pending = nccl->start_sum(tensor);
    if (drop_the_sum_first) pending.reset();
    tensor.reset();
    const Tensor next = filled(100003, -1);
    pending.reset();
    nccl->drain();
    EXPECT_TRUE(at::equal(next.cpu(), at::full({100003}, -1, at::kLong)));
    EXPECT_EQ(standin::writes_to_released_memory(), before) << drop_the_sum_first;
  }
}

// -- Waits of the host ------------------------------------------------------------------------------------------------------

TEST_F(Nccl, DrainWaitsForAllAndTheClockCountsThem) {
  const Misbehaving slow("slow,rank=0,ms=50");
  const auto nccl = group();
  // Host functions of the tests before this one may still be on their way.
  for (int look = 0; look < 10000 && collective_clock::finished() < collective_clock::entered(); ++look)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const int64_t entered = collective_clock::entered(), finished = collective_clock::finished();
  Tensor first = filled(1000, rank + 1), second = filled(1000, rank + 1, at::kFloat);
  const Pending one = nccl->start_sum(first), other = nccl->start_sum(second);
  nccl->broadcast(first, 0);
  nccl->drain();
  EXPECT_TRUE(one->test());
  EXPECT_TRUE(other->test());
  EXPECT_EQ(collective_clock::entered(), entered + 3);
  // The host function of the last one comes behind the event that drain() waits for.
  for (int look = 0; look < 10000 && collective_clock::finished() < finished + 3; ++look)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(collective_clock::finished(), finished + 3);
}

TEST_F(Nccl, TestingAloneFinishes) {
  const Misbehaving slow("slow,rank=0,ms=50");
  const auto nccl = group();
  Tensor tensor = filled(1000, rank + 1);
  const Pending pending = nccl->start_sum(tensor);
  while (!pending->test()) std::this_thread::yield();
  EXPECT_TRUE(at::equal(tensor.cpu(), at::full({1000}, once, at::kLong)));
}

// -- Failures: every rank gets a Fault that says where, what and why, and nothing hangs ---------------------------------------

/// Of a collective that no longer comes to an end, and of all that is asked of the communicator afterwards.
void expect_aborted(NcclGroup& nccl, Tensor tensor, const std::string& message, const std::string& place,
                    const std::vector<std::string>& reasons) {
  EXPECT_TRUE(message.starts_with(place + ": ")) << message;
  bool known = false;
  for (const std::string& reason : reasons) known = known || contains(message, reason);
  EXPECT_TRUE(known) << message;
  const std::string aborted = "aborted after an earlier failure";
  EXPECT_TRUE(contains(fault_of([&] { nccl.start_sum(tensor); }), aborted));
  EXPECT_TRUE(contains(fault_of([&] { nccl.broadcast(tensor, 0); }), aborted));
}

TEST_F(Nccl, ACollectiveThatNeverEndsIsAFaultOnceTheDeadlineIsOver) {
  const Misbehaving never("never,rank=1,collective=2");
  const auto nccl = group(impatient);
  Tensor tensor = filled(1000, rank + 1);
  nccl->start_sum(tensor)->wait();
  nccl->drain();
  EXPECT_EQ(tensor[7].item<int64_t>(), once);
  const Pending pending = nccl->start_sum(tensor);
  const std::string message = fault_of([&] { nccl->drain(); });
  expect_aborted(*nccl, tensor, message, own_place(),
                 {"a collective gave no answer within its deadline of 8 s", "has aborted"});
  for (const char* const time : {"first", "second"}) {
    EXPECT_TRUE(contains(fault_of([&] { pending->wait(); }), "aborted")) << time << ": a sum that never was looks like one";
    EXPECT_TRUE(contains(fault_of([&] { pending->test(); }), "aborted")) << time;
  }
}

TEST_F(Nccl, ACommunicatorThatNeverStartsIsAFaultOnceTheDeadlineIsOver) {
  const Misbehaving never("never,rank=1,collective=0");
  const std::string message = fault_of([&] { group(impatient); });
  EXPECT_TRUE(message.starts_with(own_place() + ": ncclCommInitRankConfig gave no answer within its deadline of 8 s"))
      << message;
}

TEST_F(Nccl, ACallThatFailsAbortsItsCommunicator) {
  const Misbehaving fails("fail,rank=1,collective=2");
  const auto nccl = group();
  Tensor tensor = filled(1000, rank + 1);
  const Pending first = nccl->start_sum(tensor);
  Pending second;
  const std::string message = fault_of([&] {
    second = nccl->start_sum(tensor);
    nccl->drain();
  });
  const std::string own = "ncclAllReduce failed: unhandled system error (collective 2 was refused)";
  expect_aborted(*nccl, tensor, message, own_place(), {rank == 1 ? own : "rank 1 has aborted"});
}

TEST_F(Nccl, ACommunicatorThatCannotStartIsAFault) {
  const Misbehaving fails("fail,collective=0");
  const std::string message = fault_of([&] { group(); });
  EXPECT_TRUE(message.starts_with(own_place() + ": ncclCommInitRankConfig failed: unhandled system error")) << message;
}

TEST_F(Nccl, AnAsynchronousErrorAbortsOnEveryRank) {
  const Misbehaving breaks("error,rank=0,collective=1");
  const auto nccl = group();
  Tensor tensor = filled(1000, rank + 1);
  const Pending pending = nccl->start_sum(tensor);
  const std::string message = fault_of([&] { nccl->drain(); });
  const std::string own = "internal error (collective 1 broke on the device)";
  expect_aborted(*nccl, tensor, message, own_place(), {rank == 0 ? own : "rank 0 has aborted"});
}

TEST_F(Nccl, ALoopOfTestsEndsWithAnAsynchronousError) {
  const Misbehaving breaks("error,collective=1");
  const auto nccl = group();
  Tensor tensor = filled(1000, rank + 1);
  const Pending pending = nccl->start_sum(tensor);
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  const std::string message = fault_of([&] {
    while (!pending->test() && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
  });
  EXPECT_TRUE(contains(message, "broke on the device") || contains(message, "has aborted")) << message;
}

TEST_F(Nccl, CallsThatDifferAmongRanksAreAFault) {
  using Action = std::function<void(NcclGroup&)>;
  const bool odd = rank == 1;
  const std::vector<std::pair<std::string, Action>> differences{{"sums 5 of float32",
                                                                 [&](NcclGroup& nccl) {
                                                                   Tensor tensor = filled(odd ? 6 : 5, 1, at::kFloat);
                                                                   nccl.start_sum(tensor)->wait();
                                                                 }},
                                                                {"sums 5 of float64",
                                                                 [&](NcclGroup& nccl) {
                                                                   Tensor tensor = filled(5, 1, odd ? at::kLong : at::kDouble);
                                                                   nccl.start_sum(tensor)->wait();
                                                                 }},
                                                                {"broadcasts 40 of uint8 from rank 0",
                                                                 [&](NcclGroup& nccl) {
                                                                   Tensor tensor = filled(5, 1);
                                                                   nccl.broadcast(tensor, odd ? 1 : 0);
                                                                 }},
                                                                {"sums 5 of int64", [&](NcclGroup& nccl) {
                                                                   Tensor tensor = filled(5, 1);
                                                                   odd ? nccl.broadcast(tensor, 0)
                                                                       : nccl.start_sum(tensor)->wait();
                                                                 }}};
  for (const auto& [text, differ] : differences) {
    const auto nccl = group();
    const std::string message = fault_of([&] {
      differ(*nccl);
      nccl->drain();
    });
    expect_aborted(*nccl, filled(1, 1), message, own_place(), {text, "has aborted"});
  }
}

/// A rank that leaves by an exception waits for nobody; those who leave in order wait for it until their deadline.
TEST_F(Nccl, ALeavingRankHangsNeitherItselfNorTheOthers) {
  const Misbehaving never("never,collective=2");
  communicator.barrier();
  Tensor tensor = filled(1000, rank + 1), other = filled(1000, rank + 1);
  Pending second;
  const auto leave = [&] {
    // Its deadline is beyond that of this test.
    const auto nccl = make_nccl_group(MPI_COMM_WORLD, device, rank == 1 ? 3600 : impatient);
    const Pending first = nccl->start_sum(tensor);
    nccl->drain();
    if (rank != 1) return;
    second = nccl->start_sum(other);
    throw std::runtime_error("something else");
  };
  if (rank == 1) {
    EXPECT_THROW(leave(), std::runtime_error);
    EXPECT_TRUE(contains(fault_of([&] { second->test(); }), "aborted")) << "nobody waits for this sum any more";
  } else {
    EXPECT_NO_THROW(leave());
  }
  EXPECT_EQ(tensor[7].item<int64_t>(), once);
}

// -- The communicator ---------------------------------------------------------------------------------------------------------

TEST_F(Nccl, MovesTensorsOfItsDeviceFromUseDeviceOn) {
  communicator.use_device(device);
  const standin::Counts before = standin::counts();
  Tensor tensor = part_of(rank, 100003, at::kFloat).to(device), by_mpi = part_of(rank, 100003, at::kFloat);
  communicator.all_reduce_sum(tensor);
  PendingReduction pending = communicator.start_all_reduce_sum(tensor);
  pending.wait();
  communicator.broadcast(tensor, ranks - 1);
  communicator.barrier();
  EXPECT_EQ(standin::counts().copies_to_host, before.copies_to_host) << "went through host memory";
  communicator.all_reduce_sum(by_mpi);
  EXPECT_TRUE(at::allclose(tensor.cpu(), by_mpi * ranks, 1e-5, 1e-2));
}

TEST_F(Nccl, ADeviceWhoseSumsDoNotComeIsRefusedBeforeWork) {
  const Misbehaving breaks("error,rank=1,collective=1");
  const std::string message = fault_of([&] { communicator.use_device(device); });
  EXPECT_TRUE(message.starts_with(own_place())) << message;
}

}  // namespace
}  // namespace eidolon
