#include "numerics/device_graph.h"

#include <gtest/gtest.h>

#include "tests/device/test_device.h"

namespace eidolon {
namespace {

TEST(DeviceGraph, IsRecordedOnCudaAlone) {
  EXPECT_EQ(static_cast<bool>(graph_recorder(test_device())), test_device().is_cuda());
  EXPECT_FALSE(graph_recorder(at::kCPU));
}

struct DeviceGraphOnCuda : ::testing::Test {
  Tensor x = at::arange(5, at::kFloat).to(test_device()), y;
  double factor = 2;

  void SetUp() override {
    if (!test_device().is_cuda()) GTEST_SKIP() << "only CUDA records graphs: EIDOLON_TEST_DEVICE=cuda";
  }

  Replay record() {
    return graph_recorder(test_device())([this] { y = (x * x + 1) * factor; });
  }

  void expect_squares(double first, double by) const {
    const Tensor numbers = at::arange(5, at::kFloat) + first;
    EXPECT_TRUE(at::equal(y.cpu(), (numbers * numbers + 1) * by)) << y;
  }
};

TEST_F(DeviceGraphOnCuda, ReplaysOnWhatStandsInItsInputs) {
  const Replay replay = record();
  replay();
  expect_squares(0, 2);
  x.add_(3);
  replay();
  expect_squares(3, 2);
}

TEST_F(DeviceGraphOnCuda, KeepsTheNumbersOfTheHost) {
  const Replay replay = record();
  factor = 5;
  replay();
  expect_squares(0, 2);
}

/// The host may not wait for a device that records. Afterwards the device works and records as before.
TEST_F(DeviceGraphOnCuda, RefusesWorkThatReadsAndRecordsAgain) {
  for (int round = 0; round < 2; ++round) {
    EXPECT_THROW(graph_recorder(test_device())([this] { y = x * x.sum().item<double>(); }), c10::Error);
    EXPECT_EQ(at::ones({1 << 20}, x.options()).sum().item<double>(), 1 << 20);
    const Replay replay = record();
    replay();
    expect_squares(0, 2);
  }
}

}  // namespace
}  // namespace eidolon
