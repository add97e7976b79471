// The safetensors format: 8-byte little-endian header length, JSON header, raw tensors.
//
// The reader is safe for any bytes. It limits the header to 100 MB and checks dtypes, offsets, sizes and overflow. It
// refuses overlaps, gaps and duplicate keys. See https://github.com/huggingface/safetensors (format section).
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "base/tensor.h"

namespace eidolon {

struct SafetensorsFile {
  TensorMap tensors;  ///< on the CPU, in their own memory, with the stored dtypes
  std::map<std::string, std::string> metadata;
  std::string content_hash;  ///< content_hash(tensors), independent of the layout of the file
};

/// SHA-256 over the (name, dtype, shape, bytes) of CPU tensors, in the order of their names.
std::string content_hash(const TensorMap& tensors);

/// Throws BadInput with the file and the cause if the file is not valid, Fault if the disk fails.
SafetensorsFile read_safetensors(const std::filesystem::path& path);

/// Writes the file atomically. Tensors may be on any device. Equal contents give equal bytes. Throws BadInput for a
/// name or text that is not UTF-8 or is reserved, and for a dtype that the format lacks.
void write_safetensors(const std::filesystem::path& path, const TensorMap& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace eidolon
