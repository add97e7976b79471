// How the codes of floating-point formats lie in files.
#pragma once

#include <cstdint>

#include "exporting/onnx_tensor.h"
#include "quantization/format.h"

namespace eidolon {

struct ElementType {
  onnx::Type onnx;
  int64_t opset;         ///< the first version of ONNX's operators that has it
  at::ScalarType torch;  ///< in safetensors; of FP4 bytes, with two codes each
};

/// Of a format with bits of its own; null: files have no type for it, and codes lie as bytes.
const ElementType* element_type(const Format& format);

}  // namespace eidolon
