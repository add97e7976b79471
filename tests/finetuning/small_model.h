// A small random transformer and images for it.
#pragma once

#include "finetuning/synthetic_images.h"
#include "model/preprocessing.h"
#include "model/vision_transformer.h"

namespace eidolon {

inline VisionTransformer small_model() {
  const Architecture architecture{3, 16, 8, 16, 2, 2, 32, 5, 1e-6};
  VisionTransformer model{architecture, {}};
  at::manual_seed(7);
  for (const auto& [name, shape] : parameter_shapes(architecture)) {
    const bool norm_weight = name.find("norm") != std::string::npos && name.ends_with("weight");
    model.parameters[name] = at::randn(shape) * 0.2 + (norm_weight ? 1.0 : 0.0);
  }
  return model;
}

inline Preprocessing small_preprocessing() {
  return {16, {0.5, 0.5, 0.5}, {0.25, 0.25, 0.25}, 1.0, "bicubic"};
}

/// Images [0, count), each a function of its index; only those in `wanted` are held.
inline SyntheticImages small_images(int64_t count, const std::vector<int64_t>& wanted) {
  at::manual_seed(11);
  const Tensor all = at::randint(0, 256, {count, 3, 16, 16}, at::kLong).to(at::kByte);
  SyntheticImages images;
  std::vector<Tensor> rows;
  for (const int64_t index : wanted) {
    images.row_of[index] = images.size();
    images.global.push_back(index);
    rows.push_back(all[index]);
  }
  if (!rows.empty()) images.bytes = at::stack(rows);
  return images;
}

}  // namespace eidolon
