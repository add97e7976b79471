// The models that tests compare with: the committed small ones and, where they are, the real ones.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <string>

#include "model/loading/teacher.h"
#include "storage/safetensors.h"
#include "tests/places.h"

namespace eidolon::testing {

inline std::filesystem::path model_data(const std::string& name) {
  return test_data() / "model" / name;
}

/// Outputs of timm; scripts/references/make_model_references.py lists the keys.
inline const TensorMap& tiny_reference() {
  static const TensorMap tensors = read_safetensors(model_data("tiny_random") / "reference.safetensors").tensors;
  return tensors;
}

inline std::filesystem::path real_model(const std::string& name) {
  return shared_data() / "models" / name;
}

inline double largest_difference(const Tensor& a, const Tensor& b) {
  if (a.sizes() != b.sizes()) return std::numeric_limits<double>::infinity();
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

}  // namespace eidolon::testing
