#include <cmath>
#include <vector>

#include "base/vector_widths.h"
#include "quantization/formats/fits.h"

namespace eidolon {
namespace formats {
namespace {

constexpr double most_zero_point = 1 << 19;  ///< indices this large still leave float32 a bit for the fraction of a step

Tensor nearest(const Tensor& x, const Grid& grid) {
  return at::div(x, grid.scale).round_();
}

Tensor value_(const Tensor& index, const Grid& grid) {
  return index.mul_(grid.scale);
}

/// Compiled for each width of vectors, of which the first call takes the widest. Comparisons let NaN pass, with slope 0.
EIDOLON_FOR_EACH_VECTOR_WIDTH
void round_run(const float* x, int64_t count, const ElementGrid& grid, float* y, float* slope) {
  const float scale = grid.scale, lowest = grid.lowest, highest = grid.highest;
  if (slope == nullptr) {
    for (int64_t i = 0; i < count; ++i) {
      const float index = std::rint(x[i] / scale), raised = index < lowest ? lowest : index;
      y[i] = (raised > highest ? highest : raised) * scale;
    }
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    const float index = std::rint(x[i] / scale), raised = index < lowest ? lowest : index;
    const float clamped = raised > highest ? highest : raised;
    y[i] = clamped * scale;
    slope[i] = index == clamped ? 1.0F : 0.0F;
  }
}

std::vector<Quantizer> fits(const Range& range, const QuantizerSpec& spec, bool free_zero_point) {
  const auto lowest = static_cast<double>(spec.lowest()), highest = static_cast<double>(spec.highest());
  if (spec.symmetric) {
    const Tensor scale = at::maximum(range.low / lowest, range.high / highest).clamp_min(smallest_scale);
    return {{.spec = spec, .scale = scale, .zero_point = at::zeros_like(range.low)}};
  }
  const Tensor low = free_zero_point ? range.low : range.low.clamp_max(0);
  const Tensor high = free_zero_point ? range.high : range.high.clamp_min(0);
  const Tensor magnitude = at::maximum(low.abs(), high.abs());
  const Tensor scale = at::maximum((high - low) / (highest - lowest), magnitude / most_zero_point).clamp_min(smallest_scale);
  const Tensor zero_point = at::round(lowest - low / scale);
  return {{.spec = spec, .scale = scale, .zero_point = free_zero_point ? zero_point : zero_point.clamp(lowest, highest)}};
}

}  // namespace

Codes integer_codes(int64_t bits, bool symmetric) {
  const int64_t lowest = symmetric ? -(int64_t{1} << (bits - 1)) : 0;
  return {.lowest = lowest, .highest = lowest + (int64_t{1} << bits) - 1};
}

Codes unsigned_codes(int64_t bits, bool) {
  return integer_codes(bits, false);
}

const Format uniform{.name = "uniform",
                     .has_zero_point = true,
                     .is_uniform = true,
                     .codes = integer_codes,
                     .nearest = nearest,
                     .value_ = value_,
                     .fits = fits,
                     .round_run = round_run,
                     .cuda_code = R"(
template <typename T> T nearest(T x, T s, T m) { return rint(x / s); }
template <typename T> T value(T index, T s, T m, T highest) { return index * s; }
template <typename T> T slope(T x, T y, T s) { return T(1); }
)"};

}  // namespace formats
}  // namespace eidolon
