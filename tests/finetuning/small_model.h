// A small random transformer and images for it.
#pragma once

#include "finetuning/synthetic_images.h"
#include "model/families/vit.h"
#include "model/network.h"
#include "model/preprocessing.h"
#include "tests/device/test_device.h"

namespace eidolon {

inline std::shared_ptr<const Plan> small_plan() {
  return vit_plan({.channels = 3,
                   .image_size = 16,
                   .patch_size = 8,
                   .width = 16,
                   .depth = 2,
                   .heads = 2,
                   .hidden_width = 32,
                   .classes = 5,
                   .epsilon = 1e-6});
}

inline Network small_model() {
  Network model{small_plan(), {}};
  at::manual_seed(7);
  for (const auto& [name, shape] : model.plan->parameters) {
    const bool norm_weight = name.find("norm") != std::string::npos && name.ends_with("weight");
    model.parameters[name] = at::randn(shape) * 0.2 + (norm_weight ? 1.0 : 0.0);
  }
  return model.to(test_device(), at::kFloat);
}

inline NodeId small_node(const std::string& name) {
  return small_plan()->node(name);
}

/// "blocks.0.attn.qkv"
inline Product small_product(const std::string& name) {
  return *small_plan()->product_reading(small_node(name + ".input"));
}

inline Preprocessing small_preprocessing() {
  return {16, {0.5, 0.5, 0.5}, {0.25, 0.25, 0.25}, 1.0, "bicubic"};
}

/// The bytes of such images as the small model takes them: normalised, on its device.
inline Tensor small_input(const Tensor& bytes) {
  return normalise(small_preprocessing(), bytes.to(test_device()));
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
