// The two-dimensional cosine transform of images: the Fourier transform of the image and its mirror images. Real, as many
// coefficients as pixels, and without the jump at the border that a Fourier transform sees.
#pragma once

#include "base/tensor.h"

namespace eidolon {

/// Orthonormal DCT-II over the last two axes, ... x S x S; entry (u, v) belongs to the frequency sqrt(u^2 + v^2) / (2 S) cycles
/// per pixel. As two matrix products it is deterministic on every device.
Tensor cosine_transform(const Tensor& images);
Tensor inverse_cosine_transform(const Tensor& coefficients);

/// sqrt(u^2 + v^2), S x S.
Tensor cosine_radius(int64_t size, at::TensorOptions options);

}  // namespace eidolon
