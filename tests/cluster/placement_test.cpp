#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"
#include "cluster/affinity.h"
#include "cluster/cluster.h"
#include "cluster/cpu_quota.h"
#include "cluster/cuda_devices.h"

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
  if (cuda_device_count() > 0) GTEST_SKIP() << "this machine has a GPU";
  const Communicator communicator = Communicator::world();
  EXPECT_THROW(bind_rank(communicator, "cuda", 1), BadInput);
  EXPECT_EQ(bind_rank(communicator, "", 1).device, at::Device(at::kCPU));
}

TEST(Placement, RefusesAnUnknownDevice) {
  const Communicator communicator = Communicator::world();
  EXPECT_THROW(bind_rank(communicator, "tpu", 1), BadInput);
}

}  // namespace
}  // namespace eidolon
