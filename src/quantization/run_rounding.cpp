#include "quantization/run_rounding.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>

namespace eidolon {
namespace {

constexpr int64_t chunk = 1 << 14;  ///< values that a thread takes at a time, at least

/// How many grids there are, if each is that of one run of neighbours; 0: they are not.
int64_t count_runs(const Tensor& x, const Tensor& of_grid) {
  if (of_grid.numel() == 1) return 1;
  if (of_grid.dim() != x.dim()) return 0;
  int64_t axis = 0, runs = 1;
  for (; axis < x.dim() && of_grid.size(axis) == x.size(axis); ++axis) runs *= x.size(axis);
  for (; axis < x.dim(); ++axis) {
    if (of_grid.size(axis) != 1) return 0;
  }
  return runs;
}

/// One of a grid's tensors, of one value or of one for each run.
struct PerRun {
  explicit PerRun(const Tensor& tensor) : values(tensor.contiguous()), step(tensor.numel() > 1 ? 1 : 0) {}
  float at(int64_t run) const { return values.const_data_ptr<float>()[run * step]; }

  Tensor values;
  int64_t step;
};

}  // namespace

std::optional<std::vector<Tensor>> rounded_in_runs(const Tensor& x, const Grid& grid, const Format& format, bool with_slope) {
  if (format.round_run == nullptr || !x.is_cpu() || x.scalar_type() != at::kFloat || x.numel() == 0) return std::nullopt;
  const std::array<const Tensor*, 3> of_grid{&grid.scale, &grid.lowest, &grid.highest};
  int64_t runs = 1;
  for (const Tensor* tensor : of_grid) {
    const int64_t count = count_runs(x, *tensor);
    if (count == 0 || (count > 1 && runs > 1 && count != runs)) return std::nullopt;
    runs = std::max(runs, count);
  }

  const Tensor from = x.contiguous();
  std::vector<Tensor> results;
  for (int i = 0; i < (with_slope ? 2 : 1); ++i) results.push_back(at::empty(from.sizes(), from.options()));
  const int64_t length = from.numel() / runs;
  const PerRun scale(grid.scale), lowest(grid.lowest), highest(grid.highest);
  const auto* const source = from.const_data_ptr<float>();
  auto* const y = results.front().data_ptr<float>();
  auto* const slope = with_slope ? results.back().data_ptr<float>() : nullptr;
  at::parallel_for(0, from.numel(), chunk, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t run = begin / length, stop = std::min(end, (run + 1) * length);
      const ElementGrid of_run{.scale = scale.at(run), .lowest = lowest.at(run), .highest = highest.at(run)};
      format.round_run(source + begin, stop - begin, of_run, y + begin, slope == nullptr ? nullptr : slope + begin);
      begin = stop;
    }
  });
  return results;
}

}  // namespace eidolon
