// Quadrant crops, enlarged to the teacher's input by exact bilinear interpolation.
#pragma once

#include "base/tensor.h"

namespace eidolon {

/// images: B x C x S x S; quadrants: int64 M, 4 * image + (0 top left, 1 top right, 2 bottom left, 3 bottom right), each at
/// most once. Returns M x C x S x S. Resizing is two matrix products, so its backward pass is deterministic on every device.
Tensor enlarged_quadrants(const Tensor& images, const Tensor& quadrants);

/// The `to` x `from` matrix of bilinear interpolation with half-pixel centres (PyTorch's align_corners = false).
Tensor bilinear_matrix(int64_t to, int64_t from, at::TensorOptions options = at::kFloat);

}  // namespace eidolon
