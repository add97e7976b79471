#include "finetuning/gradient_reducer.h"

#include <gtest/gtest.h>

#include "cluster/launch/accelerators.h"
#include "tests/device/test_device.h"

namespace eidolon {
namespace {

/// The CPU, whose sums go through MPI, or a device of this rank alone, whose sums go through NCCL.
at::Device device_of(const Communicator& communicator) {
  const at::DeviceType type = test_device().type();
  const bool one_each = type != at::kCPU && accelerator_count(type) >= communicator.size();
  return !one_each ? at::Device(at::kCPU) : at::Device(type, static_cast<at::DeviceIndex>(communicator.rank()));
}

Communicator world() {
  Communicator communicator = Communicator::world();
  communicator.use_device(device_of(communicator));
  return communicator;
}

struct Layers {
  std::vector<Tensor> parameters;
  explicit Layers(at::Device device) {
    at::manual_seed(3);
    for (const int64_t width : {7, 64, 33, 5, 128})
      parameters.push_back((at::randn({width, 16}) * 0.1).to(device).requires_grad_(true));
  }
  Tensor loss(const Tensor& images) const {
    const Tensor x = images.to(parameters[0].device());
    Tensor total = at::zeros({}, x.options());
    for (const Tensor& weight : parameters) total = total + at::linear(x, weight).tanh().square().sum();
    return total;
  }
};

std::vector<Tensor> reduced(Reduction reduction, int64_t bucket_bytes, const Communicator& communicator, int steps,
                            at::Device device) {
  Layers layers(device);
  GradientReducer reducer(layers.parameters, communicator, reduction, bucket_bytes);
  for (int step = 0; step < steps; ++step) {
    reducer.zero();
    at::manual_seed(100 + 10 * step + communicator.rank());
    torch::autograd::backward({layers.loss(at::randn({4, 16}))}, {});
    reducer.finish();
  }
  std::vector<Tensor> gradients;
  for (const Tensor& parameter : layers.parameters) gradients.push_back(parameter.grad().cpu().clone());
  return gradients;
}

TEST(GradientReducer, SumsTheGradientsOfAllRanks) {
  const Communicator communicator = world();
  const auto gradients = reduced(Reduction::overlapped, 1 << 20, communicator, 1, device_of(communicator));
  Layers layers(at::kCPU);
  std::vector<Tensor> expected(layers.parameters.size());
  for (int rank = 0; rank < communicator.size(); ++rank) {
    at::manual_seed(100 + rank);
    const auto part = torch::autograd::grad({layers.loss(at::randn({4, 16}))}, layers.parameters);
    for (size_t i = 0; i < part.size(); ++i) expected[i] = expected[i].defined() ? expected[i] + part[i] : part[i];
  }
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(at::allclose(gradients[i], expected[i], 1e-5, 1e-6)) << i;
}

TEST(GradientReducer, OverlappedEqualsThePlainLoopBitForBit) {
  const Communicator communicator = world();
  const at::Device device = device_of(communicator);
  for (const int64_t bucket_bytes : {64, 3000, 1 << 20}) {
    const auto plain = reduced(Reduction::plain, bucket_bytes, communicator, 3, device);
    const auto overlapped = reduced(Reduction::overlapped, bucket_bytes, communicator, 3, device);
    for (size_t i = 0; i < plain.size(); ++i)
      EXPECT_TRUE(at::equal(plain[i], overlapped[i])) << bucket_bytes << " bytes, " << i;
  }
}

TEST(GradientReducer, ARankWithoutABackwardPassAddsZeros) {
  const Communicator communicator = world();
  Layers layers(device_of(communicator));
  GradientReducer reducer(layers.parameters, communicator, Reduction::overlapped, 3000);
  reducer.zero();
  if (communicator.rank() == 0) torch::autograd::backward({layers.loss(at::ones({1, 16}))}, {});
  reducer.finish();
  const auto expected = torch::autograd::grad({layers.loss(at::ones({1, 16}))}, layers.parameters);
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(at::equal(layers.parameters[i].grad(), expected[i])) << i;
}

TEST(GradientReducer, GivesOnADeviceWhatItGivesOverMpi) {
  const Communicator communicator = world();
  const at::Device device = device_of(communicator);
  if (device.is_cpu()) GTEST_SKIP() << "needs a device for each rank";
  const auto by_mpi = reduced(Reduction::overlapped, 3000, communicator, 3, at::kCPU);
  const auto by_nccl = reduced(Reduction::overlapped, 3000, communicator, 3, device);
  for (size_t i = 0; i < by_mpi.size(); ++i) {
    // Two numbers have one sum; more may be added in another order. CUDA's kernels have other last bits than the CPU's.
    const bool same = communicator.size() == 2 && !device.is_cuda() ? at::equal(by_nccl[i], by_mpi[i])
                                                                    : at::allclose(by_nccl[i], by_mpi[i], 1e-5, 1e-6);
    EXPECT_TRUE(same) << i;
  }
}

TEST(GradientReducer, LeavesNoGradientBehind) {
  const Communicator communicator = world();
  Layers layers(device_of(communicator));
  { GradientReducer reducer(layers.parameters, communicator, Reduction::overlapped); }
  for (const Tensor& parameter : layers.parameters) EXPECT_FALSE(parameter.grad().defined());
}

}  // namespace
}  // namespace eidolon
