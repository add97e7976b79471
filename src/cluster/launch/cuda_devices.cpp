#include "cluster/launch/cuda_devices.h"

#include <ATen/cuda/CUDAContextLight.h>
#include <ATen/detail/CUDAHooksInterface.h>

namespace eidolon {

int cuda_device_count() {
  return at::hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0;
}

std::string cuda_device_id(int index) {
  const cudaDeviceProp* properties = at::cuda::getDeviceProperties(static_cast<c10::DeviceIndex>(index));
  constexpr char digits[] = "0123456789abcdef";
  std::string id;
  for (const char byte : properties->uuid.bytes) {
    id += digits[(byte >> 4) & 15];
    id += digits[byte & 15];
  }
  return id;
}

std::string cuda_device_name(int index) {
  return at::cuda::getDeviceProperties(static_cast<c10::DeviceIndex>(index))->name;
}

}  // namespace eidolon
