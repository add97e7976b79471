#include "cluster/launch/placement.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "cluster/launch/accelerators.h"
#include "cluster/launch/thread_bound.h"

namespace eidolon {
namespace {

// mpirun is told not to bind, so all ranks share one mask. The tests run with OMP_NUM_THREADS=1.
TEST(Placement, DividesTheCoresAmongTheRanksThatShareThem) {
  unsetenv("OMP_NUM_THREADS");
  const Communicator communicator = Communicator::world();
  const Placement placement = bind_rank(communicator, "cpu", 0);
  const auto cores = static_cast<int64_t>(affinity_mask().size());
  const double quota = cpu_quota().value_or(1e6);
  const auto share = std::min<int64_t>(cores / communicator.size(), static_cast<int64_t>(quota / communicator.size()));
  EXPECT_EQ(placement.threads, std::max<int64_t>(1, share));
  EXPECT_EQ(at::get_num_threads(), placement.threads);
  EXPECT_EQ(at::get_num_interop_threads(), 1);
}

TEST(Placement, LeavesTheThreadsToTheLeastBoundOfAllRanks) {
  const Communicator communicator = Communicator::world();
  const bool bound = communicator.rank() == communicator.size() - 1;
  bound ? setenv("OMP_NUM_THREADS", "1", 1) : unsetenv("OMP_NUM_THREADS");
  EXPECT_EQ(bind_rank(communicator, "cpu", 0).threads, 1);
  const Placement asked = bind_rank(communicator, "cpu", 3);
  EXPECT_EQ(asked.threads, 3) << "what the job says wins";
  EXPECT_EQ(asked.threads_bound_by, "");
}

TEST(Placement, NumbersTheRanksOfAHost) {
  const Communicator communicator = Communicator::world();
  const Placement placement = bind_rank(communicator, "cpu", 1);
  EXPECT_EQ(placement.local_rank, communicator.rank());
  EXPECT_EQ(placement.local_size, communicator.size());
  EXPECT_FALSE(placement.host.empty());
  EXPECT_EQ(placement.device, at::Device(at::kCPU));
  EXPECT_EQ(placement.threads, 1);
}

TEST(Placement, MakesTheLibraryDeterministic) {
  const Communicator communicator = Communicator::world();
  bind_rank(communicator, "cpu", 1);
  EXPECT_TRUE(at::globalContext().deterministicAlgorithms());
  EXPECT_STREQ(std::getenv("CUBLAS_WORKSPACE_CONFIG"), ":4096:8");
}

TEST(Placement, RefusesCudaWhereThereIsNoGpu) {
  if (accelerator_count(at::kCUDA) > 0) GTEST_SKIP() << "this machine has a GPU";
  const Communicator communicator = Communicator::world();
  EXPECT_THROW(bind_rank(communicator, "cuda", 1), BadInput);
  EXPECT_EQ(bind_rank(communicator, "", 1).device, at::Device(at::kCPU));
}

TEST(Placement, RefusesAnUnknownDevice) {
  const Communicator communicator = Communicator::world();
  EXPECT_THROW(bind_rank(communicator, "tpu", 1), BadInput);
}

TEST(RankTable, PutsNeighboursAlikeOnOneLine) {
  const Communicator communicator = Communicator::world();
  const int rank = communicator.rank();
  Placement placement;
  placement.host = rank < 2 ? "n1" : "n2";
  placement.cores = std::to_string(2 * rank) + "-" + std::to_string(2 * rank + 1);
  placement.threads = 2;
  const std::vector<std::string> lines = rank_table(communicator, placement);
  if (communicator.size() == 1) {
    EXPECT_EQ(lines, std::vector<std::string>{"rank 0 on n1: cpu, 2 threads each; cores 0-1"});
  } else if (communicator.size() == 4) {
    const std::vector<std::string> expected{"ranks 0-1 on n1: cpu, 2 threads each; cores 0-1, cores 2-3",
                                            "ranks 2-3 on n2: cpu, 2 threads each; cores 4-5, cores 6-7"};
    EXPECT_EQ(lines, expected);
  }
}

TEST(RankTable, SaysWhatBoundTheThreads) {
  const Communicator communicator = Communicator::world();
  Placement placement;
  placement.host = "n1";
  placement.cores = "0-63";
  placement.threads_bound_by = "CPU quota of 1.5 cores";
  const std::string line = rank_table(communicator, placement).at(0);
  EXPECT_NE(line.find(" on n1: cpu, 1 thread each (CPU quota of 1.5 cores); cores 0-63"), std::string::npos) << line;
}

TEST(RankTable, WritesNumbersAsRanges) {
  EXPECT_EQ(number_ranges({}), "");
  EXPECT_EQ(number_ranges({3}), "3");
  EXPECT_EQ(number_ranges({0, 1, 2, 5, 7, 8}), "0-2,5,7-8");
}

}  // namespace
}  // namespace eidolon
