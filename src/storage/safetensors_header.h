// The JSON header of a safetensors file: the dtype, shape and byte range of each tensor.
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
  uint64_t begin = 0, end = 0;  ///< byte range, from the end of the header
};

struct SafetensorsHeader {
  std::vector<StoredTensor> tensors;  ///< in the order of their bytes
  std::map<std::string, std::string> metadata;
};

/// Throws BadInput unless the header is valid and its tensors cover exactly `data_size` bytes. The message is the cause
/// alone; the reader adds the file.
SafetensorsHeader parse_safetensors_header(std::string_view json, uint64_t data_size);

/// The JSON text, padded with spaces so that the tensors begin at a multiple of 8 bytes in the file.
std::string format_safetensors_header(const SafetensorsHeader& header);

std::string safetensors_dtype(at::ScalarType dtype);  ///< e.g. "F32"; BadInput if the format lacks the dtype

}  // namespace eidolon
