// The stand-in itself refuses what NCCL refuses, so that a missing wait in the code above it shows.
#include <gtest/gtest.h>
#include <mpi.h>
#include <nccl.h>

#include <c10/core/impl/VirtualGuardImpl.h>

#include <cstdlib>
#include <string>

#include "tests/device/test_device.h"

namespace eidolon {
namespace {

ncclResult_t settled(ncclComm_t communicator) {
  ncclResult_t state = ncclInProgress;
  while (state == ncclInProgress) EXPECT_EQ(ncclCommGetAsyncError(communicator, &state), ncclSuccess);
  return state;
}

class StandinNccl : public ::testing::Test {
 protected:
  int rank = 0, ranks = 1;
  ncclComm_t communicator = nullptr;
  ncclUniqueId id{};
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  cudaStream_t stream = nullptr;
  float number = 1;

  void SetUp() override {
    if (test_device().type() != at::kPrivateUse1) GTEST_SKIP() << "the stand-in NCCL knows the stand-in accelerator alone";
    EXPECT_EQ(MPI_Comm_rank(MPI_COMM_WORLD, &rank), MPI_SUCCESS);
    EXPECT_EQ(MPI_Comm_size(MPI_COMM_WORLD, &ranks), MPI_SUCCESS);
    const c10::impl::VirtualGuardImpl guard(test_device().type());
    stream = static_cast<cudaStream_t>(guard.getStreamNativeHandle(guard.getStreamFromGlobalPool({test_device().type(), 0})));
    config.blocking = 0;
    if (rank == 0) {
      EXPECT_EQ(ncclGetUniqueId(&id), ncclSuccess);
    }
    EXPECT_EQ(MPI_Bcast(&id, sizeof id, MPI_BYTE, 0, MPI_COMM_WORLD), MPI_SUCCESS);
  }

  ncclResult_t start() { return ncclCommInitRankConfig(&communicator, ranks, id, rank, &config); }
  ncclResult_t sum() { return ncclAllReduce(&number, &number, 1, ncclFloat32, ncclSum, communicator, stream); }
};

TEST_F(StandinNccl, RefusesACallBeforeThePreviousOneIsTakenIn) {
  EXPECT_EQ(start(), ncclInProgress);
  EXPECT_EQ(sum(), ncclInvalidArgument);
  EXPECT_EQ(settled(communicator), ncclSuccess);
  EXPECT_EQ(sum(), ncclInProgress);
  EXPECT_EQ(sum(), ncclInvalidArgument);
  EXPECT_NE(std::string(ncclGetLastError(communicator)).find("before the previous operation"), std::string::npos);
  EXPECT_EQ(ncclCommFinalize(communicator), ncclInvalidArgument);
  EXPECT_EQ(ncclCommDestroy(communicator), ncclInvalidUsage);
  EXPECT_EQ(settled(communicator), ncclSuccess);
  EXPECT_EQ(ncclCommDestroy(communicator), ncclInvalidUsage) << "not finalized";
  EXPECT_EQ(ncclCommFinalize(communicator), ncclInProgress);
  EXPECT_EQ(settled(communicator), ncclSuccess);
  EXPECT_EQ(number, static_cast<float>(ranks)) << "finalized before the sum was there";
  EXPECT_EQ(ncclCommDestroy(communicator), ncclSuccess);
}

TEST_F(StandinNccl, RefusesWhatItDoesNotStandInFor) {
  config.blocking = 1;
  EXPECT_EQ(start(), ncclInvalidArgument);
  config.blocking = 0;
  EXPECT_EQ(setenv("EIDOLON_STANDIN_NCCL", "slwo,rank=1", /*overwrite=*/1), 0);
  EXPECT_EQ(start(), ncclInvalidArgument);
  EXPECT_EQ(std::string(ncclGetLastError(nullptr)), "EIDOLON_STANDIN_NCCL=slwo,rank=1: 'slwo' is not understood");
  EXPECT_EQ(unsetenv("EIDOLON_STANDIN_NCCL"), 0);
  EXPECT_EQ(start(), ncclInProgress);
  EXPECT_EQ(settled(communicator), ncclSuccess);
  EXPECT_EQ(ncclAllReduce(&number, &number, 1, ncclFloat32, ncclProd, communicator, stream), ncclInvalidArgument);
  EXPECT_EQ(ncclBroadcast(&number, &number, 1, ncclFloat32, ranks, communicator, stream), ncclInvalidArgument);
  EXPECT_EQ(ncclCommAbort(communicator), ncclSuccess);
}

}  // namespace
}  // namespace eidolon
