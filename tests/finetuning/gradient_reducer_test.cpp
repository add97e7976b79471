#include "finetuning/gradient_reducer.h"

#include <gtest/gtest.h>

namespace eidolon {
namespace {

struct Layers {
  std::vector<Tensor> parameters;
  Layers() {
    at::manual_seed(3);
    for (const int64_t width : {7, 64, 33, 5, 128}) parameters.push_back((at::randn({width, 16}) * 0.1).requires_grad_(true));
  }
  Tensor loss(const Tensor& x) const {
    Tensor total = at::zeros({});
    for (const Tensor& weight : parameters) total = total + at::linear(x, weight).tanh().square().sum();
    return total;
  }
};

std::vector<Tensor> reduced(Reduction reduction, int64_t bucket_bytes, const Communicator& communicator, int steps) {
  Layers layers;
  GradientReducer reducer(layers.parameters, communicator, reduction, bucket_bytes);
  for (int step = 0; step < steps; ++step) {
    reducer.zero();
    at::manual_seed(100 + 10 * step + communicator.rank());
    torch::autograd::backward({layers.loss(at::randn({4, 16}))}, {});
    reducer.finish();
  }
  std::vector<Tensor> gradients;
  for (const Tensor& parameter : layers.parameters) gradients.push_back(parameter.grad().clone());
  return gradients;
}

TEST(GradientReducer, SumsTheGradientsOfAllRanks) {
  const Communicator communicator = Communicator::world();
  const auto gradients = reduced(Reduction::overlapped, 1 << 20, communicator, 1);
  Layers layers;
  std::vector<Tensor> expected(layers.parameters.size());
  for (int rank = 0; rank < communicator.size(); ++rank) {
    at::manual_seed(100 + rank);
    const auto part = torch::autograd::grad({layers.loss(at::randn({4, 16}))}, layers.parameters);
    for (size_t i = 0; i < part.size(); ++i) expected[i] = expected[i].defined() ? expected[i] + part[i] : part[i];
  }
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(at::allclose(gradients[i], expected[i], 1e-5, 1e-6)) << i;
}

TEST(GradientReducer, OverlappedEqualsThePlainLoopBitForBit) {
  const Communicator communicator = Communicator::world();
  for (const int64_t bucket_bytes : {64, 3000, 1 << 20}) {
    const auto plain = reduced(Reduction::plain, bucket_bytes, communicator, 3);
    const auto overlapped = reduced(Reduction::overlapped, bucket_bytes, communicator, 3);
    for (size_t i = 0; i < plain.size(); ++i)
      EXPECT_TRUE(at::equal(plain[i], overlapped[i])) << bucket_bytes << " bytes, " << i;
  }
}

TEST(GradientReducer, ARankWithoutABackwardPassAddsZeros) {
  const Communicator communicator = Communicator::world();
  Layers layers;
  GradientReducer reducer(layers.parameters, communicator, Reduction::overlapped, 3000);
  reducer.zero();
  if (communicator.rank() == 0) torch::autograd::backward({layers.loss(at::ones({1, 16}))}, {});
  reducer.finish();
  const auto expected = torch::autograd::grad({layers.loss(at::ones({1, 16}))}, layers.parameters);
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(at::equal(layers.parameters[i].grad(), expected[i])) << i;
}

TEST(GradientReducer, LeavesNoGradientBehind) {
  const Communicator communicator = Communicator::world();
  Layers layers;
  { GradientReducer reducer(layers.parameters, communicator, Reduction::overlapped); }
  for (const Tensor& parameter : layers.parameters) EXPECT_FALSE(parameter.grad().defined());
}

}  // namespace
}  // namespace eidolon
