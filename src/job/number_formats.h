// The names of number formats that a job may state. What they mean stands in quantization/named_formats.cpp; a test holds both
// against each other.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace eidolon {

inline constexpr std::string_view hardware_format_names[] = {"fp8_e4m3",   "fp8_e5m2",   "mxfp8_e4m3", "mxfp8_e5m2",
                                                             "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4",      "nvfp4"};

inline std::vector<std::string_view> with_hardware_formats(std::vector<std::string_view> names) {
  names.insert(names.end(), std::begin(hardware_format_names), std::end(hardware_format_names));
  return names;
}

/// The digit behind "fp": such formats have bits of their own. Nothing for a format with as many bits as the job says.
inline std::optional<int64_t> own_bits(std::string_view format) {
  const size_t at = format.find("fp");
  if (at == std::string_view::npos || at + 2 >= format.size()) return std::nullopt;
  return format[at + 2] - '0';
}

/// Whether the scales are calibrated float32 numbers, which training can move. Those of MX and NVFP4 are powers of two or
/// E4M3 values, or follow from the values.
inline bool has_trainable_scales(std::string_view format) {
  return !format.starts_with("mx") && !format.starts_with("nv");
}

}  // namespace eidolon
