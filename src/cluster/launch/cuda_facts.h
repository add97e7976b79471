// What the CUDA runtime knows of its devices. cuda_facts_absent.cpp implements it in a build without CUDA.
#pragma once

#include <cstdint>
#include <string>

namespace eidolon {

struct CudaFacts {
  std::string uuid;  ///< 32 hexadecimal digits
  std::string name;  ///< "NVIDIA H100 80GB HBM3"
  int major = 0;     ///< of the compute capability
};

int cuda_device_count();  ///< 0 without a GPU or a driver
CudaFacts cuda_facts(int index);
double cuda_peak_megabytes(int index);  ///< reserved by LibTorch's allocator at most
int64_t cuda_free_bytes(int index);     ///< of the device, and what that allocator holds for nobody

}  // namespace eidolon
