#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"
#include "cluster/affinity.h"
#include "cluster/cluster.h"
#include "cluster/cuda_devices.h"

namespace eidolon {
namespace {

// mpirun is told not to bind, so all ranks share one mask.
TEST(Placement, DividesTheCoresAmongTheRanksThatShareThem) {
  const Communicator communicator = Communicator::world();
  const Placement placement = bind_rank(communicator, "cpu", 0);
  const auto cores = static_cast<int64_t>(affinity_mask().size());
  EXPECT_EQ(placement.threads, std::max<int64_t>(1, cores / communicator.size()));
  EXPECT_EQ(at::get_num_threads(), placement.threads);
  EXPECT_EQ(at::get_num_interop_threads(), 1);
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
