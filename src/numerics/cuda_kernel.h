// Elementwise CUDA kernels from source text: what would be a dozen kernels of LibTorch becomes one.
//
// NVRTC compiles them when they are first used (LibTorch's jiterator, torch/cuda/jiterator.py), so building the program
// needs no CUDA compiler. cuda_kernel_absent.cpp implements this in a build without CUDA.
#pragma once

#include <string>
#include <vector>

#include "base/tensor.h"

namespace eidolon {

struct CudaKernel {
  std::string name;
  /// Templates of one type T. The last is `template <typename T> void name(T input..., T scalar..., T& output...)`.
  std::string code;
  int outputs = 1;
};

/// Whether kernels can run on it: it lies on a CUDA device, and 32 bits number its elements.
bool takes_cuda_kernels(const Tensor& tensor);

/// Inputs broadcast against each other and are promoted to one dtype, which is T. Not differentiable.
std::vector<Tensor> launch(const CudaKernel& kernel, const std::vector<Tensor>& inputs,
                           const std::vector<int64_t>& scalars = {});

}  // namespace eidolon
