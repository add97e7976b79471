// The JSON header of a safetensors file: where each tensor lies in the bytes that follow.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/tensor.h"

namespace eidolon {

inline constexpr uint64_t longest_safetensors_header = 100'000'000;  // bytes, as in the reference implementation

struct StoredTensor {
  std::string name;
  at::ScalarType dtype = at::kFloat;
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;  ///< bytes after the header
};

struct SafetensorsHeader {
  std::vector<StoredTensor> tensors;  ///< in the order of their bytes
  std::map<std::string, std::string> metadata;
};

/// Throws BadInput with the cause alone (the reader adds the file) unless the tensors cover `data_size` bytes exactly.
SafetensorsHeader parse_safetensors_header(std::string_view json, uint64_t data_size);

/// JSON padded with spaces so that the tensors, 8 bytes after its length field, start at a multiple of 8.
std::string format_safetensors_header(const SafetensorsHeader& header);

std::string safetensors_dtype(at::ScalarType dtype);  ///< "F32", ...; BadInput if the format has no name for it

}  // namespace eidolon
