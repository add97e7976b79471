#include "synthesis/patch_entropy.h"

#include "tests/synthesis/references.h"

namespace eidolon {
namespace {

using testing::largest_difference;
using testing::reference;
using testing::reference_blocks;

TEST(PatchEntropy, OfKernelsIsTheIntegralOverKernelsAtEveryPair) {
  const Tensor loss = patch_entropy_loss(reference_blocks("entropy.mixed"), 2, "kernel");
  EXPECT_LT(largest_difference(loss, reference("entropy.kernel")), 1e-4);
}

TEST(PatchEntropy, OfKernelsHasTheGradientOfThatIntegral) {
  std::vector<Tensor> blocks = reference_blocks("entropy.mixed");
  for (Tensor& block : blocks) block = block.clone().requires_grad_(true);
  const auto gradients = torch::autograd::grad({patch_entropy_loss(blocks, 2, "kernel").sum()}, {blocks[0], blocks[1]});
  for (size_t i = 0; i < 2; ++i) {
    const Tensor expected = reference_blocks("entropy.kernel_gradient")[i];
    EXPECT_LT((gradients[i] - expected).norm().item<double>(), 0.02 * expected.norm().item<double>());
  }
}

TEST(PatchEntropy, OfTheNormalLawIsItsClosedForm) {
  const Tensor loss = patch_entropy_loss(reference_blocks("entropy.mixed"), 2, "gaussian");
  EXPECT_LT(largest_difference(loss, reference("entropy.gaussian")), 1e-9);
}

TEST(PatchEntropy, GradientMatchesDifferences) {
  const std::vector<Tensor> blocks = reference_blocks("entropy.mixed");
  for (const char* const form : {"kernel", "gaussian"}) {
    SCOPED_TRACE(form);
    const auto loss = [&](const Tensor& x) { return patch_entropy_loss({x, blocks[1]}, 2, form).sum(); };
    testing::expect_gradient_matches_differences(loss, blocks[0], 1e-6, 1e-3);
  }
}

TEST(PatchEntropy, OfAnImageDoesNotDependOnItsNeighbours) {
  const std::vector<Tensor> blocks = reference_blocks("entropy.mixed");
  for (const char* const form : {"kernel", "gaussian"}) {
    const Tensor both = patch_entropy_loss(blocks, 2, form);
    EXPECT_LT(largest_difference(patch_entropy_loss(testing::swapped(blocks), 2, form).flip(0), both), 1e-12) << form;
    const Tensor alone = patch_entropy_loss({blocks[0].narrow(0, 1, 1), blocks[1].narrow(0, 1, 1)}, 2, form);
    EXPECT_LT(largest_difference(alone[0], both[1]), 1e-12) << form;
  }
}

TEST(PatchEntropy, IsFiniteForPatchesThatAreAllAlikeOrNothing) {
  for (const char* const form : {"kernel", "gaussian"}) {
    for (const double value : {0.0, 1.0}) {
      const auto loss = [&](const Tensor& x) { return patch_entropy_loss({x}, 2, form).sum(); };
      const Tensor flat = at::full({1, 17, 12}, value);
      EXPECT_TRUE(loss(flat).isfinite().all().item<bool>()) << form << value;
      EXPECT_TRUE(testing::gradient_of(loss, flat).isfinite().all().item<bool>()) << form << value;
    }
  }
}

TEST(PatchEntropy, InBfloat16IsNearThatInFloat64) {
  std::vector<Tensor> blocks = reference_blocks("entropy.mixed");
  for (Tensor& block : blocks) block = block.to(at::kBFloat16);
  for (const char* const form : {"kernel", "gaussian"}) {
    const Tensor loss = patch_entropy_loss(blocks, 2, form);
    EXPECT_EQ(loss.scalar_type(), at::kFloat);
    EXPECT_LT(largest_difference(loss, reference(std::string("entropy.") + form)), 0.1) << form;
  }
}

}  // namespace
}  // namespace eidolon
