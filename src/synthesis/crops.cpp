#include "synthesis/crops.h"

#include <algorithm>
#include <cmath>

#include "numerics/transfer.h"

namespace eidolon {

Tensor bilinear_matrix(int64_t to, int64_t from, at::TensorOptions options) {
  Tensor matrix = at::zeros({to, from}, at::kFloat);
  auto entry = matrix.accessor<float, 2>();
  for (int64_t row = 0; row < to; ++row) {
    const double centre = (static_cast<double>(row) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5;
    const double position = std::max(centre, 0.0);
    const auto left = static_cast<int64_t>(position);
    const int64_t right = std::min(left + 1, from - 1);
    const double fraction = position - static_cast<double>(left);
    entry[row][left] += static_cast<float>(1.0 - fraction);
    entry[row][right] += static_cast<float>(fraction);
  }
  return sent_to(options.device(), matrix.to(options.dtype().toScalarType()));
}

Tensor enlarged_quadrants(const Tensor& images, const Tensor& quadrants) {
  const int64_t batch = images.size(0), channels = images.size(1), size = images.size(2), side = size / 2;
  const Tensor parts = images.narrow(2, 0, 2 * side)
                           .narrow(3, 0, 2 * side)
                           .reshape({batch, channels, 2, side, 2, side})
                           .permute({0, 2, 4, 1, 3, 5})
                           .reshape({4 * batch, channels, side, side});
  // No quadrant is taken twice, so the backward index_add has no collisions and no order to depend on.
  const Tensor chosen = parts.index_select(0, quadrants);
  const Tensor enlarge = bilinear_matrix(size, side, images.options());
  return at::matmul(at::matmul(enlarge, chosen), enlarge.t());
}

}  // namespace eidolon
