#include "numerics/sgd.h"

#include <gtest/gtest.h>

namespace eidolon {
namespace {

/// Printed by torch.optim.SGD([p], lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4) on p = [1, -2] with the gradients
/// [0.5, 0.25] and [-1, 2] (PyTorch 2.11, float64).
TEST(Sgd, TakesPytorchsSteps) {
  Tensor parameter = at::tensor({1.0, -2.0}, at::kDouble), velocity = at::zeros({2}, at::kDouble);
  const Tensor rate = at::scalar_tensor(0.1, at::kDouble);
  sgd_step(parameter, at::tensor({0.5, 0.25}, at::kDouble), velocity, rate, {});
  EXPECT_TRUE(at::allclose(parameter, at::tensor({0.904981, -2.047462}, at::kDouble), 0, 1e-12)) << parameter;
  sgd_step(parameter, at::tensor({-1.0, 2.0}, at::kDouble), velocity, rate, {});
  EXPECT_TRUE(at::allclose(parameter, at::tensor({1.054455705361, -2.4476568982219997}, at::kDouble), 0, 1e-12)) << parameter;
}

}  // namespace
}  // namespace eidolon
