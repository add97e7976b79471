// Safetensors files made byte by byte, independent of the writer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

namespace eidolon::testing {

/// The length field in front of a header.
inline std::string little_endian(uint64_t value) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
  return bytes;
}

inline std::string safetensors_bytes(const std::string& header, const std::string& data) {
  return little_endian(header.size()) + header + data;
}

/// A new file each time: ext4 flushes a file that is truncated and written again, which costs milliseconds.
inline void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::remove(path);
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

}  // namespace eidolon::testing
