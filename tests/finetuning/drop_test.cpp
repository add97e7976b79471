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

}  // namespace
}  // namespace eidolon
