#include <c10/cuda/CUDAStream.h>

#include <string>

#include "base/error.h"
#include "cluster/nccl/device_stream.h"

namespace eidolon {

void call_on_host(const c10::Stream& stream, void (*function)(void*)) {
  const cudaError_t result = cudaLaunchHostFunc(c10::cuda::CUDAStream(stream), function, nullptr);
  if (result != cudaSuccess) throw Fault(std::string("cudaLaunchHostFunc failed: ") + cudaGetErrorString(result));
}

}  // namespace eidolon
