#include <array>
#include <cmath>
#include <vector>

#include "quantization/formats/fits.h"

namespace eidolon {
namespace formats {
namespace {

constexpr std::array<double, 4> octaves_beside{-1.0, -0.5, 0.5, 1.0};
constexpr double wide_shrink_step = 0.1;  ///< where the steps end matters less than how fast they widen

Tensor nearest(const Tensor& x, const Grid& grid) {
  const Tensor ratio = at::div(x, grid.scale);
  return at::abs(ratio).add_(1).log2_().mul_(grid.companding).copysign_(ratio).round_();
}

Tensor value_(const Tensor& index, const Grid& grid) {
  return at::abs(index).div_(grid.companding).exp2_().sub_(1).mul_(grid.scale).copysign_(index);
}

/// (|y| + s) / (|x| + s)
Tensor slope(const Tensor& x, const Tensor& y, const Grid& grid) {
  return at::abs(y).add_(grid.scale).div_(at::abs(x).add_(grid.scale));
}

/// Mu-law parameters worth trying at this width, the middle of them first: 2^(bits - 3), with which the outermost value is
/// about a hundred times the innermost at every width, then half octaves to either side.
std::vector<double> parameters_to_try(int64_t bits) {
  const double middle = std::exp2(static_cast<double>(bits - 3));
  std::vector<double> choices{middle};
  for (const double octaves : octaves_beside) choices.push_back(middle * std::exp2(octaves));
  return choices;
}

/// s with indices 0..count reaching to `bound` (float64): s (2^(count / m) - 1) = bound.
Tensor one_sided_scale(const Tensor& bound, double count, double m) {
  return bound / (std::exp2(count / m) - 1);
}

/// The scale with which the codes just reach from range.low to range.high (0 is drawn in), and the integer zero point nearest
/// to that. With E = 2^(intervals / m), (1 + high / s) (1 + |low| / s) = E has one positive root.
Quantizer fitted(const Range& range, const QuantizerSpec& spec, double m) {
  const Tensor low = range.low.clamp_max(0).neg().to(at::kDouble), high = range.high.clamp_min(0).to(at::kDouble);
  const auto lowest = static_cast<double>(spec.lowest()), highest = static_cast<double>(spec.highest());
  const auto finished = [&](const Tensor& scale, const Tensor& zero_point) {
    return Quantizer{.spec = spec,
                     .scale = scale.to(at::kFloat),
                     .zero_point = zero_point.to(at::kFloat),
                     .companding = at::full_like(range.low, m)};
  };
  if (spec.symmetric) {
    const Tensor scale = at::maximum(one_sided_scale(low, -lowest, m), one_sided_scale(high, highest, m));
    return finished(scale.clamp_min(smallest_scale), at::zeros_like(low));
  }
  const double span = std::exp2((highest - lowest) / m) - 1;
  const Tensor sum = low + high;
  const Tensor scale = ((sum + at::sqrt(sum * sum + 4 * span * low * high)) / (2 * span)).clamp_min(smallest_scale);
  const Tensor below = at::log2(1 + low / scale) * m;
  return finished(scale, at::round(lowest + below).clamp(lowest, highest));
}

std::vector<Quantizer> fits(const Range& range, const QuantizerSpec& spec, bool) {
  std::vector<Quantizer> all;
  for (const double m : parameters_to_try(spec.bits)) all.push_back(fitted(range, spec, m));
  return all;
}

}  // namespace

const Format companded{.name = "companded",
                       .has_zero_point = true,
                       .is_companded = true,
                       .codes = integer_codes,
                       .nearest = nearest,
                       .value_ = value_,
                       .slope = slope,
                       .fits = fits,
                       .shrink_step = wide_shrink_step,
                       .cuda_code = R"(
template <typename T> T nearest(T x, T s, T m) {
  const T ratio = x / s;
  return rint(copysign(log2(fabs(ratio) + T(1)) * m, ratio));
}
template <typename T> T value(T index, T s, T m, T highest) {
  return copysign((exp2(fabs(index) / m) - T(1)) * s, index);
}
template <typename T> T slope(T x, T y, T s) { return (fabs(y) + s) / (fabs(x) + s); }
)"};

}  // namespace formats
}  // namespace eidolon
