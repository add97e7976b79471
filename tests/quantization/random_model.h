// A small random transformer whose LayerNorm channels differ in range, as those of trained models do.
#pragma once

#include <cmath>

#include "model/families/vit.h"
#include "model/network.h"
#include "tests/device/test_device.h"

namespace eidolon {

inline VitFacts small_facts(int64_t depth = 3) {
  return {.image_size = 16, .patch_size = 4, .width = 24, .depth = depth, .heads = 3, .hidden_width = 48, .classes = 10};
}

inline std::shared_ptr<const Plan> small_plan(int64_t depth = 3) {
  return vit_plan(small_facts(depth));
}

inline Network random_model(const VitFacts& facts = small_facts(), uint64_t seed = 3) {
  at::manual_seed(seed);
  Network model{vit_plan(facts), {}};
  for (const auto& [name, shape] : model.plan->parameters) {
    const bool norm = name.find("norm") != std::string::npos;
    if (norm && name.ends_with(".weight")) {
      model.parameters[name] = at::exp(at::randn(shape));
    } else if (norm || shape.size() == 1) {
      model.parameters[name] = at::randn(shape) * (norm ? 1.0 : 0.1);
    } else {
      double inputs = 1;
      for (size_t i = 1; i < shape.size(); ++i) inputs *= static_cast<double>(shape[i]);
      const bool linear = name.ends_with(".weight");
      model.parameters[name] = at::randn(shape) * (linear ? 1.0 / std::sqrt(inputs) : 1.0);
    }
  }
  return model.to(test_device(), at::kFloat);
}

inline Tensor random_images(const Plan& plan, int64_t count, uint64_t seed = 5) {
  at::manual_seed(seed);
  return at::randn({count, plan.channels, plan.image_size, plan.image_size}).to(test_device());
}

/// Signal to quantization noise ratio in dB.
inline double sqnr(const Tensor& exact, const Tensor& rounded) {
  const double signal = exact.square().sum().item<double>(), noise = (exact - rounded).square().sum().item<double>();
  return 10.0 * std::log10(signal / noise);
}

}  // namespace eidolon
