// The safetensors format: 8-byte little-endian header length, JSON header, raw tensors.
//
// The reader survives any bytes: header length capped at 100 MB, checked multiplication, known dtypes, begin <= end <= size,
// size equals shape x dtype, no overlap and no gap, no key twice. See https://github.com/huggingface/safetensors (format
// section).
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "base/tensor.h"

namespace eidolon {

struct SafetensorsFile {
  TensorMap tensors;  ///< own memory, CPU, dtypes as stored
  std::map<std::string, std::string> metadata;
  std::string content_hash;  ///< SHA-256 over sorted (name, dtype, shape, bytes); the container's layout does not matter
};

/// SHA-256 over sorted (name, dtype, shape, bytes) of CPU tensors: what `content_hash` of a file is.
std::string content_hash(const TensorMap& tensors);

/// Throws BadInput naming the file and what is wrong with it (Fault if the disk fails).
SafetensorsFile read_safetensors(const std::filesystem::path& path);

/// Written atomically; any device, any dtype that the format knows. Equal contents are equal bytes. BadInput for a name or a
/// text that is not UTF-8 or is reserved, and for a dtype without a safetensors name.
void write_safetensors(const std::filesystem::path& path, const TensorMap& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace eidolon
