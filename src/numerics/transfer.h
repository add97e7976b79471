// Small tensors on their way to a device.
#pragma once

#include "base/tensor.h"

namespace eidolon {

/// The tensor on `device`. The host does not wait for what it sends to an accelerator: the copy is queued, and its source is
/// pinned memory, which LibTorch keeps until the copy is done.
inline Tensor sent_to(at::Device device, const Tensor& tensor) {
  const bool is_sent = tensor.is_cpu() && !device.is_cpu();
  return is_sent ? tensor.pin_memory().to(device, /*non_blocking=*/true) : tensor.to(device);
}

}  // namespace eidolon
