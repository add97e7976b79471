#include "finetuning/drop.h"

#include <gtest/gtest.h>

#include <cmath>

#include "quantization/quantizer.h"

namespace eidolon {
namespace {

const Tensor exact = at::zeros({4, 50, 32}), quantized = at::ones({4, 50, 32});

Tensor mixed(const std::vector<int64_t>& images, int64_t step, double probability, uint64_t seed = 1) {
  const auto count = static_cast<int64_t>(images.size());
  return mixed_input(quantized.narrow(0, 0, count), exact.narrow(0, 0, count), {seed, images, step}, probability);
}

TEST(MixedInput, HoldsTheShareOfTheTeachersElements) {
  for (const double p : {0.0, 0.2, 0.5, 1.0}) {
    const double share = 1 - mixed({0, 1, 2, 3}, 0, p).mean().item<double>();
    EXPECT_NEAR(share, p, 5 * std::sqrt(p * (1 - p) / 6400) + 1e-5);
  }
}

TEST(MixedInput, IsAFunctionOfImageAndStepAloneAndSoTheSameForAnyNumberOfRanks) {
  const Tensor whole = mixed({3, 9, 4, 7}, 5, 0.5), first = mixed({3, 9}, 5, 0.5), second = mixed({4, 7}, 5, 0.5);
  EXPECT_TRUE(at::equal(at::cat({first, second}), whole));
  for (const Tensor& other : {mixed({3, 9, 4, 7}, 6, 0.5), mixed({13, 19, 14, 17}, 5, 0.5), mixed({3, 9, 4, 7}, 5, 0.5, 2)}) {
    EXPECT_NEAR(at::ne(other, whole).to(at::kFloat).mean().item<double>(), 0.5, 0.05);
  }
}

/// Rounds everything but the image.
Tensor round_all(NodeId node, const Tensor& x) {
  const Quantizer quantizer{{}, at::full({1}, 0.5f), at::full({1}, 128.f)};
  return node.kind == NodeKind::image ? x : fake_quantize(x, quantizer);
}

TEST(DroppingTap, LeavesTheShareOfTheActivationsUnroundedAndRoundsEveryWeight) {
  at::manual_seed(1);
  const Tensor x = at::randn({4, 50, 32});
  const NodeId activation{0, NodeKind::fc1_input}, weight{0, NodeKind::fc1_weight}, image{-1, NodeKind::image};
  const Tap tap = dropping_tap(round_all, {1, {0, 1, 2, 3}, 0}, 0.3);
  EXPECT_TRUE(at::equal(tap(weight, x), round_all(weight, x)));
  EXPECT_TRUE(tap(image, x).is_same(x));
  const Tensor out = tap(activation, x), rounded = round_all(activation, x);
  EXPECT_TRUE(at::logical_or(at::eq(out, x), at::eq(out, rounded)).all().item<bool>());
  EXPECT_NEAR(at::eq(out, x).to(at::kFloat).mean().item<double>(), 0.3, 0.03);
}

TEST(DroppingTap, DrawsTheSameForAnyNumberOfRanksAndAnewAtEveryNode) {
  at::manual_seed(1);
  const Tensor x = at::randn({4, 3, 20, 8});
  const NodeId query{0, NodeKind::query}, key{0, NodeKind::key};
  const Tap all = dropping_tap(round_all, {1, {5, 2, 8, 3}, 7}, 0.5), last = dropping_tap(round_all, {1, {8, 3}, 7}, 0.5);
  const Tensor first_node = all(query, x), second_node = all(key, x);
  EXPECT_TRUE(at::equal(last(query, x.narrow(0, 2, 2)), first_node.narrow(0, 2, 2)));
  EXPECT_TRUE(at::equal(last(key, x.narrow(0, 2, 2)), second_node.narrow(0, 2, 2)));
  EXPECT_FALSE(at::equal(first_node, second_node));
}

TEST(DroppingTap, PassesTheGradientOfWhatItPassed) {
  const Tensor x = (at::ones({2, 1000}) * 1e3).requires_grad_(true);  // clipped: rounding passes no gradient
  const Tensor out = dropping_tap(round_all, {1, {0, 1}, 0}, 0.5)({0, NodeKind::fc2_input}, x);
  const Tensor gradient = torch::autograd::grad({out.sum()}, {x}).front();
  EXPECT_TRUE(at::equal(gradient, at::eq(out, x).to(at::kFloat)));
}

}  // namespace
}  // namespace eidolon
