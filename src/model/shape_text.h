// Shapes as messages show them.
#pragma once

#include <string>

#include "base/tensor.h"

namespace eidolon {

/// "[3, 224, 224]".
inline std::string shape_text(at::IntArrayRef shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace eidolon
