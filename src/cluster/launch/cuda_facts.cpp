#include "cluster/launch/cuda_facts.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <cuda_runtime_api.h>

// As ATen/cuda/CUDAContextLight.h declares it, which also takes headers of cuSPARSE and CCCL that LibTorch's wheels lack.
namespace at::cuda {
cudaDeviceProp* getDeviceProperties(c10::DeviceIndex device);
}

namespace eidolon {

int cuda_device_count() {
  return at::hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0;
}

CudaFacts cuda_facts(int index) {
  const cudaDeviceProp* properties = at::cuda::getDeviceProperties(static_cast<c10::DeviceIndex>(index));
  constexpr char digits[] = "0123456789abcdef";
  CudaFacts facts{.uuid = {}, .name = properties->name, .major = properties->major};
  for (const char byte : properties->uuid.bytes) {
    facts.uuid += digits[(byte >> 4) & 15];
    facts.uuid += digits[byte & 15];
  }
  return facts;
}

double cuda_peak_megabytes(int index) {
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(static_cast<c10::DeviceIndex>(index));
  constexpr auto whole = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  return static_cast<double>(stats.reserved_bytes[whole].peak) / 1e6;
}

int64_t cuda_free_bytes(int index) {
  const auto device = static_cast<c10::DeviceIndex>(index);
  c10::cuda::CUDACachingAllocator::CUDAAllocator* const allocator = c10::cuda::CUDACachingAllocator::get();
  const auto stats = allocator->getDeviceStats(device);
  constexpr auto whole = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  const int64_t held = stats.reserved_bytes[whole].current - stats.allocated_bytes[whole].current;
  return static_cast<int64_t>(allocator->getMemoryInfo(device).first) + held;
}

}  // namespace eidolon
