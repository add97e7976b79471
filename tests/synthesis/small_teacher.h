// A small random teacher in float64 and what the tests of the losses share.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>
#include <vector>

#include "job/synthesis_methods.h"
#include "model/families/vit.h"
#include "model/loading/teacher.h"
#include "synthesis/objective.h"
#include "tests/device/test_device.h"
#include "tests/places.h"

namespace eidolon::testing {

inline VitFacts small_facts() {
  return {.image_size = 16, .patch_size = 4, .width = 12, .depth = 4, .heads = 2, .hidden_width = 20, .classes = 6};
}

inline std::shared_ptr<const Plan> small_plan() {
  return vit_plan(small_facts());
}

inline Preprocessing small_preprocessing() {
  return {16, {0.5, 0.4, 0.6}, {0.2, 0.25, 0.3}, 0.9, "bicubic"};
}

/// Weights large enough for attention that is far from uniform.
inline SynthesisTeacher small_teacher(at::ScalarType dtype = at::kDouble) {
  at::manual_seed(11);
  Network model{small_plan(), {}};
  for (const auto& [name, shape] : model.plan->parameters) {
    const bool norm_scale = name.find("norm") != std::string::npos && name.ends_with(".weight");
    model.parameters[name] = (at::randn(shape, at::kDouble) * 0.3 + (norm_scale ? 1.0 : 0.0)).to(dtype);
  }
  return {model.to(test_device(), dtype), small_preprocessing()};
}

/// The committed small model, as synthesis uses it.
inline SynthesisTeacher tiny_teacher() {
  const Teacher teacher = read_teacher(test_data() / "model" / "tiny_random");
  return {teacher.model.to(test_device(), at::kFloat), teacher.preprocessing};
}

/// Few iterations, every weight a number. SARDFQ has two rounds, here with two iterations of warm-up each.
inline SynthesisJob small_job(std::string_view method = "sardfq") {
  SynthesisJob job = synthesis_method(method).defaults();
  job.unit_images = 4;
  job.iterations = 20;
  job.sardfq.prior_weight = 100.0;
  return job;
}

/// The loss of the term called `name`, one value per image; undefined if it is switched off.
inline Tensor loss_named(std::string_view name, const UnitObjective& objective, const Seen& seen) {
  for (const TermLoss& loss : losses_of(objective, seen)) {
    if (loss.name == name) return loss.value;
  }
  return {};
}

inline Tensor small_pixels(int64_t images, uint64_t seed = 5) {
  at::manual_seed(seed);
  return (at::randn({images, 3, 16, 16}, at::kDouble) * 0.7).to(test_device());
}

using ScalarFunction = std::function<Tensor(const Tensor&)>;

inline Tensor gradient_of(const ScalarFunction& function, const Tensor& at) {
  const Tensor x = at.detach().clone().requires_grad_(true);
  return torch::autograd::grad({function(x)}, {x})[0];
}

/// Compares autograd with central differences along the gradient and along random directions. The losses end in float32, so
/// the step is a compromise: rounding gives about 1e-7 * value / step, curvature step^2.
inline void expect_gradient_matches_differences(const ScalarFunction& function, const Tensor& at, double step = 1e-3,
                                                double tolerance = 3e-3) {
  const Tensor gradient = gradient_of(function, at).to(at::kDouble);
  const double norm = gradient.norm().item<double>();
  ASSERT_GT(norm, 0.0);
  at::manual_seed(17);
  std::vector<Tensor> directions{gradient / norm};
  for (int i = 0; i < 4; ++i) {
    const Tensor noise = at::randn(at.sizes(), at::kDouble).to(at.device());
    directions.push_back(noise / noise.norm() * 0.7 + gradient / norm * 0.3);
  }
  const at::NoGradGuard no_gradients;
  for (const Tensor& direction : directions) {
    const double above = function(at + direction * step).item<double>(), below = function(at - direction * step).item<double>();
    EXPECT_NEAR((above - below) / (2 * step), (gradient * direction).sum().item<double>(), tolerance * norm);
  }
}

/// Of tensors on any device.
inline double largest_difference(const Tensor& a, const Tensor& b) {
  if (a.sizes() != b.sizes()) return std::numeric_limits<double>::infinity();
  return (a.to(at::kCPU, at::kDouble) - b.to(at::kCPU, at::kDouble)).abs().max().item<double>();
}

}  // namespace eidolon::testing
