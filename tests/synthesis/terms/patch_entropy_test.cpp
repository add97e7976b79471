#include "synthesis/terms/patch_entropy.h"

#include "tests/synthesis/references.h"

namespace eidolon {
namespace {

using testing::largest_difference;
using testing::reference;

/// The references' outputs of two heads side by side, class token first, as the loss takes them: patches alone, head by head.
Tensor by_head(const Tensor& block) {
  return block.narrow(1, 1, block.size(1) - 1).unflatten(-1, {2, block.size(-1) / 2});
}

Tensor loss_of(const std::vector<Tensor>& blocks, const std::string& form) {
  std::vector<Tensor> outputs;
  for (const Tensor& block : blocks) outputs.push_back(by_head(block));
  return patch_entropy_loss(outputs, form);
}

std::vector<Tensor> blocks_of_reference() {
  return testing::reference_blocks("entropy.mixed");
}

TEST(PatchEntropy, OfKernelsIsTheIntegralOverKernelsAtEveryPair) {
  const Tensor loss = loss_of(blocks_of_reference(), "kernel");
  EXPECT_LT(largest_difference(loss, reference("entropy.kernel")), 1e-4);
}

TEST(PatchEntropy, OfKernelsHasTheGradientOfThatIntegral) {
  std::vector<Tensor> blocks = blocks_of_reference();
  for (Tensor& block : blocks) block = block.clone().requires_grad_(true);
  const auto gradients = torch::autograd::grad({loss_of(blocks, "kernel").sum()}, {blocks[0], blocks[1]});
  for (size_t i = 0; i < 2; ++i) {
    const Tensor expected = testing::reference_blocks("entropy.kernel_gradient")[i];
    EXPECT_LT((gradients[i] - expected).norm().item<double>(), 0.02 * expected.norm().item<double>());
  }
}

TEST(PatchEntropy, OfTheNormalLawIsItsClosedForm) {
  const Tensor loss = loss_of(blocks_of_reference(), "gaussian");
  EXPECT_LT(largest_difference(loss, reference("entropy.gaussian")), 1e-9);
}

TEST(PatchEntropy, GradientMatchesDifferences) {
  const std::vector<Tensor> blocks = blocks_of_reference();
  for (const char* const form : {"kernel", "gaussian"}) {
    SCOPED_TRACE(form);
    const auto loss = [&](const Tensor& x) { return loss_of({x, blocks[1]}, form).sum(); };
    testing::expect_gradient_matches_differences(loss, blocks[0], 1e-6, 1e-3);
  }
}

TEST(PatchEntropy, OfAnImageDoesNotDependOnItsNeighbours) {
  const std::vector<Tensor> blocks = blocks_of_reference();
  for (const char* const form : {"kernel", "gaussian"}) {
    const Tensor both = loss_of(blocks, form);
    EXPECT_LT(largest_difference(loss_of(testing::swapped(blocks), form).flip(0), both), 1e-12) << form;
    const Tensor alone = loss_of({blocks[0].narrow(0, 1, 1), blocks[1].narrow(0, 1, 1)}, form);
    EXPECT_LT(largest_difference(alone[0], both[1]), 1e-12) << form;
  }
}

TEST(PatchEntropy, IsFiniteForPatchesThatAreAllAlikeOrNothing) {
  for (const char* const form : {"kernel", "gaussian"}) {
    for (const double value : {0.0, 1.0}) {
      const auto loss = [&](const Tensor& x) { return loss_of({x}, form).sum(); };
      const Tensor flat = at::full({1, 17, 12}, value);
      EXPECT_TRUE(loss(flat).isfinite().all().item<bool>()) << form << value;
      EXPECT_TRUE(testing::gradient_of(loss, flat).isfinite().all().item<bool>()) << form << value;
    }
  }
}

TEST(PatchEntropy, InBfloat16IsNearThatInFloat64) {
  std::vector<Tensor> blocks = blocks_of_reference();
  for (Tensor& block : blocks) block = block.to(at::kBFloat16);
  for (const char* const form : {"kernel", "gaussian"}) {
    const Tensor loss = loss_of(blocks, form);
    EXPECT_EQ(loss.scalar_type(), at::kFloat);
    EXPECT_LT(largest_difference(loss, reference(std::string("entropy.") + form)), 0.1) << form;
  }
}

}  // namespace
}  // namespace eidolon
