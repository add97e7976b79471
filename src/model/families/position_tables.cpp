#include "model/families/position_tables.h"

#include <cmath>
#include <numbers>
#include <utility>

namespace eidolon {
namespace {

constexpr int64_t axes = 2;

/// 2 x P x 2n from angles P x n: each angle for the two channels that turn together.
Tensor cosines_and_sines(const Tensor& angles, bool halves) {
  const Tensor each = halves ? at::cat({angles, angles}, -1) : at::repeat_interleave(angles, 2, -1);
  return at::stack({each.cos(), each.sin()}).to(at::kFloat);
}

/// P x 1 rows and columns of places from coordinates along one side.
std::pair<Tensor, Tensor> rows_and_columns(const Tensor& coordinates) {
  const int64_t side = coordinates.size(0);
  const Tensor rows = coordinates.unsqueeze(1).expand({side, side}).reshape({-1, 1});
  const Tensor columns = coordinates.unsqueeze(0).expand({side, side}).reshape({-1, 1});
  return {rows, columns};
}

}  // namespace

Tensor rotation_table(const Rotation& rotation, int64_t grid, int64_t head_width) {
  const int64_t count = head_width / (2 * axes);
  const auto side = static_cast<double>(grid);
  const Tensor index = at::arange(count, at::kDouble) / static_cast<double>(count);
  Tensor frequencies = at::pow(at::scalar_tensor(rotation.temperature, at::kDouble), -index);
  Tensor places = at::arange(grid, at::kDouble);
  if (rotation.kind == "dinov3") {
    places = (places + 0.5 + rotation.offset) / side * 2 - 1;
    frequencies = frequencies * (2 * std::numbers::pi);
  } else {
    places = places + rotation.offset;
    if (rotation.reference > 0) places = places / side * rotation.reference;
  }
  auto [first, second] = rows_and_columns(places);
  if (rotation.columns_first) std::swap(first, second);
  return cosines_and_sines(at::cat({first * frequencies, second * frequencies}, 1), rotation.halves);
}

Tensor rotation_table(const Tensor& frequencies, bool columns_first, int64_t grid) {
  auto [first, second] = rows_and_columns(at::arange(grid, at::kDouble));
  if (columns_first) std::swap(first, second);
  const Tensor exact = frequencies.to(at::kDouble);
  return cosines_and_sines(first * exact[0].unsqueeze(1) + second * exact[1].unsqueeze(1), /*halves=*/false);
}

Tensor relative_bias(const Tensor& table, int64_t side, bool class_token) {
  const auto [rows, columns] = rows_and_columns(at::arange(side, at::kLong));
  const Tensor down = rows - rows.t() + (side - 1), across = columns - columns.t() + (side - 1);
  Tensor index = down * (2 * side - 1) + across;
  if (class_token) {
    const int64_t patches = side * side, end = table.size(0);
    const auto all = [&](int64_t row, at::IntArrayRef shape) { return at::full(shape, end - row, at::kLong); };
    index = at::cat({all(2, {patches, 1}), index}, 1);
    index = at::cat({at::cat({all(1, {1, 1}), all(3, {1, patches})}, 1), index});
  }
  return table.index_select(0, index.flatten()).reshape({index.size(0), index.size(1), -1}).permute({2, 0, 1}).contiguous();
}

Tensor resampled_positions(const Tensor& positions, int64_t prefix, int64_t grid, bool antialias) {
  const int64_t before = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(positions.size(1) - prefix))));
  if (before == grid) return positions;
  const Tensor map = positions.narrow(1, prefix, before * before).transpose(1, 2).reshape({1, -1, before, before});
  const Tensor resized = antialias ? at::_upsample_bicubic2d_aa(map, {grid, grid}, /*align_corners=*/false)
                                   : at::upsample_bicubic2d(map, {grid, grid}, /*align_corners=*/false);
  return at::cat({positions.narrow(1, 0, prefix), resized.flatten(2).transpose(1, 2)}, 1).contiguous();
}

}  // namespace eidolon
