#include "cluster/communicator.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "cluster/launch/accelerators.h"
#include "cluster/mpi/collectives.h"
#include "cluster/nccl/collectives.h"
#include "tests/device/test_device.h"

namespace eidolon {
namespace {

// Sum over ranks r of (r + 1) * (i + 1): exact in every type for these sizes.
Tensor own_part(const Communicator& communicator, int64_t length, at::ScalarType type) {
  return at::arange(1, length + 1, at::kLong).mul(communicator.rank() + 1).to(type);
}

Tensor whole(const Communicator& communicator, int64_t length, at::ScalarType type) {
  const int64_t ranks = communicator.size();
  return at::arange(1, length + 1, at::kLong).mul(ranks * (ranks + 1) / 2).to(type);
}

TEST(Communicator, SumsOverRanksLikeTheClosedForm) {
  const Communicator communicator = Communicator::world();
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kLong}) {
    for (const int64_t length : {1, 2, 3, 7, 1000, 4097, 100003}) {
      Tensor tensor = own_part(communicator, length, type);
      communicator.all_reduce_sum(tensor);
      EXPECT_TRUE(at::equal(tensor, whole(communicator, length, type))) << length << " of " << at::toString(type);
    }
  }
}

TEST(Communicator, AcceptsEmptyTensors) {
  const Communicator communicator = Communicator::world();
  Tensor empty = at::empty({0, 3});
  communicator.all_reduce_sum(empty);
  communicator.broadcast(empty);
  EXPECT_EQ(empty.numel(), 0);
  EXPECT_EQ(communicator.broadcast_text(""), "");
}

TEST(Communicator, RefusesWhatItCannotSum) {
  const Communicator communicator = Communicator::world();
  Tensor half = at::ones({4}, at::kHalf);
  EXPECT_THROW(communicator.all_reduce_sum(half), Fault);
  Tensor transposed = at::ones({4, 3}).t();
  EXPECT_THROW(communicator.all_reduce_sum(transposed), Fault);
  EXPECT_THROW(communicator.broadcast(transposed), Fault);
  Tensor undefined;
  EXPECT_THROW(communicator.broadcast(undefined), Fault);
}

TEST(Communicator, BroadcastsEveryTypeFromEveryRoot) {
  const Communicator communicator = Communicator::world();
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kHalf, at::kBFloat16, at::kByte, at::kChar, at::kShort,
                                    at::kInt, at::kLong, at::kBool, at::kComplexFloat}) {
    for (int root = 0; root < communicator.size(); ++root) {
      const Tensor expected = at::arange(15, at::kLong).reshape({3, 5}).remainder(root + 2).to(type);
      Tensor tensor = communicator.rank() == root ? expected.clone() : at::zeros_like(expected);
      communicator.broadcast(tensor, root);
      EXPECT_TRUE(at::equal(tensor, expected)) << at::toString(type) << " from " << root;
    }
  }
}

TEST(Communicator, SharesNumbersAndTexts) {
  const Communicator communicator = Communicator::world();
  const int ranks = communicator.size();
  EXPECT_EQ(communicator.max(10 - communicator.rank()), 10);
  EXPECT_EQ(communicator.max(INT64_MIN + communicator.rank()), INT64_MIN + ranks - 1);
  EXPECT_EQ(communicator.sum(communicator.rank() + 0.5), ranks * (ranks - 1) / 2.0 + ranks * 0.5);

  const std::string with_zero("a\0b", 3);
  EXPECT_EQ(communicator.broadcast_text(communicator.rank() == 0 ? with_zero : "to be replaced"), with_zero);

  const auto text_of = [](int rank) { return std::string(3 * static_cast<size_t>(rank), 'x'); };
  const auto texts = communicator.gather_texts(text_of(communicator.rank()));  // rank 0 has nothing to say
  EXPECT_EQ(texts.size(), ranks);
  for (int rank = 0; rank < ranks; ++rank) EXPECT_EQ(texts[rank], text_of(rank));
}

TEST(Communicator, ThrowsAnMpiErrorInsteadOfEndingTheProcess) {
  const Communicator communicator = Communicator::world();
  Tensor tensor = at::ones({4});
  try {
    communicator.broadcast(tensor, communicator.size() + 5);
    ADD_FAILURE() << "a root that does not exist was accepted";
  } catch (const Fault& fault) {
    EXPECT_NE(std::string(fault.what()).find("MPI_Bcast failed: MPI_ERR_ROOT"), std::string::npos) << fault.what();
  }
  communicator.barrier();  // and is still of use
}

TEST(Communicator, NumbersCollectivesAlikeOnAllRanks) {
  const Communicator communicator = Communicator::world();
  const int64_t before = communicator.collectives();
  communicator.barrier();
  Tensor tensor = at::ones({4});
  PendingReduction pending = communicator.start_all_reduce_sum(tensor);
  EXPECT_GE(communicator.collectives(), before + 2);
  pending.wait();
  const auto numbers = communicator.gather_texts(std::to_string(communicator.collectives()));
  for (const std::string& number : numbers) EXPECT_EQ(number, numbers[0]);
}

TEST(Communicator, LivesBesideAnother) {
  const Communicator first = Communicator::world();
  Communicator second = Communicator::world();
  const Communicator moved = std::move(second);
  EXPECT_EQ(first.max(first.rank()), moved.max(moved.rank()));
}

TEST(MessageLengths, SplitsWhatExceedsTheLimit) {
  EXPECT_EQ(message_lengths(0), std::vector<int>{});
  EXPECT_EQ(message_lengths(7, 7), std::vector<int>{7});
  EXPECT_EQ(message_lengths(8, 7), (std::vector<int>{7, 1}));
  const auto beyond_int = message_lengths(int64_t{5} << 30);
  EXPECT_EQ(beyond_int, std::vector<int>(5, 1 << 30));
}

/// A group of one rank too, which the program itself does without: it is what a machine with one GPU can prove of NCCL.
TEST(NcclGroup, SumsAndBroadcastsCudaTensors) {
  const Communicator communicator = Communicator::world();
  if (accelerator_count(at::kCUDA) < communicator.size()) GTEST_SKIP() << "needs a GPU per rank";
  const at::Device device(at::kCUDA, static_cast<at::DeviceIndex>(communicator.rank()));
  const std::shared_ptr<NcclGroup> group = make_nccl_group(MPI_COMM_WORLD, device, /*deadline_seconds=*/60);
  EXPECT_EQ(group->device(), device);
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kLong}) {
    Tensor tensor = own_part(communicator, 100003, type).to(device);
    group->start_sum(tensor)->wait();
    EXPECT_TRUE(at::equal(tensor.cpu(), whole(communicator, 100003, type))) << type;
    for (int repeat = 0; repeat < 200; ++repeat) group->broadcast(tensor, communicator.size() - 1);
    group->drain();
    EXPECT_TRUE(at::equal(tensor.cpu(), whole(communicator, 100003, type))) << type;
  }
}

TEST(Communicator, MovesCudaTensorsByNcclFromUseDeviceOn) {
  const Communicator communicator = Communicator::world();
  if (accelerator_count(at::kCUDA) < communicator.size()) GTEST_SKIP() << "needs a GPU per rank";
  const at::Device device(at::kCUDA, static_cast<at::DeviceIndex>(communicator.rank()));
  communicator.use_device(device);
  Tensor tensor = own_part(communicator, 100003, at::kFloat).to(device);
  communicator.all_reduce_sum(tensor);
  communicator.broadcast(tensor, communicator.size() - 1);
  communicator.barrier();
  EXPECT_TRUE(at::equal(tensor.cpu(), whole(communicator, 100003, at::kFloat)));
}

/// Ranks that share a device, and builds without NCCL.
TEST(Communicator, MovesTensorsOfOtherDevicesThroughHostMemory) {
  if (test_device().is_cpu()) GTEST_SKIP() << "needs a device";
  const Communicator communicator = Communicator::world();
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kLong}) {
    Tensor tensor = own_part(communicator, 100003, type).to(test_device());
    PendingReduction pending = communicator.start_all_reduce_sum(tensor);
    while (!pending.test()) continue;
    EXPECT_TRUE(at::equal(tensor.cpu(), whole(communicator, 100003, type))) << type;
    if (communicator.rank() > 0) tensor.zero_();
    communicator.broadcast(tensor);
    EXPECT_TRUE(at::equal(tensor.cpu(), whole(communicator, 100003, type))) << type;
  }
}

TEST(Barrier, LooksAroundWhileItWaits) {
  const Communicator communicator = Communicator::world();
  int looks = 0;
  if (communicator.rank() == 0) usleep(300'000);
  communicator.barrier([&] { ++looks; });
  EXPECT_GE(looks, communicator.rank() == 1 ? 2 : 0);
}

}  // namespace
}  // namespace eidolon
