// The kinds of device that run.device may name.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/DeviceType.h>

#include <string>
#include <string_view>
#include <vector>

namespace eidolon {

/// "cpu", "cuda", and the name of an accelerator that somebody registered with LibTorch as its PrivateUse1 backend.
/// Nobody does in the program; the tests do (tests/device), to prove that all work takes place on the device.
inline std::vector<std::string_view> device_kinds() {
  static const std::string registered =
      c10::is_privateuse1_backend_registered() ? c10::get_privateuse1_backend() : std::string();
  std::vector<std::string_view> kinds{"cpu", "cuda"};
  if (!registered.empty()) kinds.push_back(registered);
  return kinds;
}

/// Of one of device_kinds().
inline at::DeviceType device_type(std::string_view kind) {
  if (kind == "cpu") return at::kCPU;
  return kind == "cuda" ? at::kCUDA : at::kPrivateUse1;
}

/// "cpu", "cuda" or the registered name.
inline std::string device_kind(const at::Device& device) {
  return c10::DeviceTypeName(device.type(), /*lower_case=*/true);
}

}  // namespace eidolon
