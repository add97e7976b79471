#include "numerics/cuda_kernel.h"

#include <ATen/cuda/jiterator.h>

#include <limits>

namespace eidolon {

bool takes_cuda_kernels(const Tensor& tensor) {
  return tensor.is_cuda() && tensor.numel() <= std::numeric_limits<int32_t>::max();
}

std::vector<Tensor> launch(const CudaKernel& kernel, const std::vector<Tensor>& inputs, const std::vector<int64_t>& scalars) {
  const at::NoGradGuard no_gradients;
  const c10::SmallVector<at::Tensor> tensors(inputs.begin(), inputs.end());
  c10::SmallVector<at::Scalar> extra;
  for (const int64_t scalar : scalars) extra.emplace_back(scalar);
  const auto outputs =
      at::cuda::CompileAndLaunchKernel(kernel.code, kernel.name, kernel.outputs, tensors, extra, /*return_by_ref=*/true);
  return {outputs.begin(), outputs.end()};
}

}  // namespace eidolon
