// Gradients against central differences, in float64.
#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "base/tensor.h"

namespace eidolon::testing {

inline Tensor central_differences(const std::function<Tensor(const Tensor&)>& function, const Tensor& at, double step) {
  const at::NoGradGuard no_gradients;
  Tensor result = at::zeros_like(at).flatten();
  for (int64_t i = 0; i < at.numel(); ++i) {
    Tensor moved = at.clone();
    moved.view(-1)[i] += step;
    const double above = function(moved).item<double>();
    moved.view(-1)[i] -= 2 * step;
    result[i] = (above - function(moved).item<double>()) / (2 * step);
  }
  return result.view(at.sizes());
}

inline void expect_gradient_matches_differences(const std::function<Tensor(const Tensor&)>& function, const Tensor& at,
                                                double step = 1e-6, double tolerance = 1e-7) {
  const Tensor leaf = at.detach().clone().requires_grad_(true);
  const Tensor gradient = torch::autograd::grad({function(leaf)}, {leaf}).front();
  const Tensor differences = central_differences(function, at, step);
  const double largest = differences.abs().max().item<double>();
  EXPECT_GT(largest, 0);
  EXPECT_TRUE(at::allclose(gradient, differences, 0, tolerance * (1 + largest))) << gradient << '\n' << differences;
}

}  // namespace eidolon::testing
