// The models that tests compare with: the committed small ones and, where they are, the real ones.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <limits>
#include <string>

#include "model/loading/teacher.h"
#include "storage/safetensors.h"

namespace eidolon::testing {

inline std::filesystem::path model_data(const std::string& name) {
  return std::filesystem::path(EIDOLON_TEST_DATA) / "model" / name;
}

/// Outputs of timm; scripts/references/make_model_references.py lists the keys.
inline const TensorMap& tiny_reference() {
  static const TensorMap tensors = read_safetensors(model_data("tiny_random") / "reference.safetensors").tensors;
  return tensors;
}

inline std::filesystem::path real_model(const std::string& name) {
  const char* given = std::getenv("EIDOLON_DATA");
  const auto data = given ? std::filesystem::path(given) : std::filesystem::path(EIDOLON_SOURCE_DIR) / ".." / "shared";
  return data / "models" / name;
}

inline double largest_difference(const Tensor& a, const Tensor& b) {
  if (a.sizes() != b.sizes()) return std::numeric_limits<double>::infinity();
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

}  // namespace eidolon::testing
