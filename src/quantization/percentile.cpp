#include "quantization/percentile.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>

namespace eidolon {

int64_t outside(double level, int64_t size) {
  return std::llround((1.0 - level) * static_cast<double>(size - 1));
}

namespace {

/// By selection in tails that shrink from level to level.
std::vector<Range> by_selection(Tensor& rows, at::ArrayRef<double> levels) {
  const int64_t size = rows.size(1);
  std::vector<Range> ranges;
  for (size_t i = 0; i < levels.size(); ++i) ranges.push_back({at::empty({rows.size(0)}), at::empty({rows.size(0)})});

  at::parallel_for(0, rows.size(0), 1, [&](int64_t first_row, int64_t last_row) {
    for (int64_t row = first_row; row < last_row; ++row) {
      float* const begin = rows.data_ptr<float>() + row * size;
      float *left = begin + size, *right = begin;  // the tails end where the selection before this one stood
      for (size_t i = 0; i < levels.size(); ++i) {
        float* const low = begin + outside(levels[i], size);
        float* const high = begin + size - 1 - outside(levels[i], size);
        if (low < left) std::nth_element(begin, low, left);
        ranges[i].low.data_ptr<float>()[row] = *low;
        if (high > right || i == 0) std::nth_element(i == 0 ? low : right, high, begin + size);
        ranges[i].high.data_ptr<float>()[row] = *high;
        left = low;
        right = high;
      }
    }
  });
  return ranges;
}

std::vector<Range> by_sorting(Tensor& rows, at::ArrayRef<double> levels) {
  const int64_t size = rows.size(1);
  rows = std::get<0>(at::sort(rows, std::optional<bool>(true), /*dim=*/1, /*descending=*/false));
  std::vector<Range> ranges;
  for (const double level : levels) {
    const int64_t beyond = outside(level, size);
    ranges.push_back({rows.select(1, beyond).clone(), rows.select(1, size - 1 - beyond).clone()});
  }
  return ranges;
}

}  // namespace

std::vector<Range> percentiles(Tensor& rows, at::ArrayRef<double> levels) {
  return rows.is_cpu() ? by_selection(rows, levels) : by_sorting(rows, levels);
}

}  // namespace eidolon
