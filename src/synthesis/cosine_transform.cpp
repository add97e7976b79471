#include "synthesis/cosine_transform.h"

#include <cmath>
#include <numbers>

namespace eidolon {
namespace {

/// Row u is a_u cos(pi (x + 1/2) u / S), a_0 = sqrt(1/S), else sqrt(2/S).
Tensor cosine_matrix(int64_t size, at::TensorOptions options) {
  const auto length = static_cast<double>(size);
  const Tensor index = at::arange(size, options.dtype(at::kDouble));
  Tensor matrix = (at::outer(index, index + 0.5) * (std::numbers::pi / length)).cos() * std::sqrt(2.0 / length);
  matrix.select(0, 0).mul_(std::sqrt(0.5));
  return matrix.to(options.dtype().toScalarType());
}

}  // namespace

Tensor cosine_transform(const Tensor& images) {
  const Tensor basis = cosine_matrix(images.size(-1), images.options());
  return at::matmul(at::matmul(basis, images), basis.t());
}

Tensor inverse_cosine_transform(const Tensor& coefficients) {
  const Tensor basis = cosine_matrix(coefficients.size(-1), coefficients.options());
  return at::matmul(at::matmul(basis.t(), coefficients), basis);
}

Tensor cosine_radius(int64_t size, at::TensorOptions options) {
  const Tensor squares = at::arange(size, options).square();
  return (squares.unsqueeze(0) + squares.unsqueeze(1)).sqrt();
}

}  // namespace eidolon
