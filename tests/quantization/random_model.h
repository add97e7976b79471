// A small random transformer whose LayerNorm channels differ in range, as those of trained models do.
#pragma once

#include <cmath>

#include "model/vision_transformer.h"

namespace eidolon {

inline Architecture small_architecture() {
  Architecture a;
  a.image_size = 16;
  a.patch_size = 4;
  a.width = 24;
  a.depth = 3;
  a.heads = 3;
  a.hidden = 48;
  a.classes = 10;
  return a;
}

inline VisionTransformer random_model(const Architecture& architecture, uint64_t seed = 3) {
  at::manual_seed(seed);
  VisionTransformer model{architecture, {}};
  for (const auto& [name, shape] : parameter_shapes(architecture)) {
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
  return model;
}

inline Tensor random_images(const Architecture& a, int64_t count, uint64_t seed = 5) {
  at::manual_seed(seed);
  return at::randn({count, a.channels, a.image_size, a.image_size});
}

/// Signal to quantization noise ratio in dB.
inline double sqnr(const Tensor& exact, const Tensor& rounded) {
  const double signal = exact.square().sum().item<double>(), noise = (exact - rounded).square().sum().item<double>();
  return 10.0 * std::log10(signal / noise);
}

}  // namespace eidolon
