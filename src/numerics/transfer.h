// Small tensors on their way to a device.
#pragma once

#include "base/tensor.h"

namespace eidolon {

/// A copy of a CPU tensor on `device`. The host does not wait: on CUDA the copy is queued, and its source is pinned memory,
/// which LibTorch keeps until the copy is done.
inline Tensor sent_to(at::Device device, const Tensor& host) {
  return device.is_cuda() ? host.pin_memory().to(device, /*non_blocking=*/true) : host.to(device);
}

}  // namespace eidolon
