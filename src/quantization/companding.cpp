#include "quantization/companding.h"

#include <array>
#include <cmath>

namespace eidolon {
namespace {

constexpr double smallest_scale = 1e-8;
constexpr std::array<double, 4> octaves_beside{-1.0, -0.5, 0.5, 1.0};

/// s with places 0..count reaching to `bound` (float64): s (2^(count / m) - 1) = bound.
Tensor one_sided_scale(const Tensor& bound, double count, double octave_steps) {
  return bound / (std::exp2(count / octave_steps) - 1);
}

}  // namespace

std::vector<double> octave_step_choices(int64_t bits) {
  const double middle = std::exp2(static_cast<double>(bits - 3));
  std::vector<double> choices{middle};
  for (const double octaves : octaves_beside) choices.push_back(middle * std::exp2(octaves));
  return choices;
}

Quantizer companded_quantizer(const Range& range, const QuantizerSpec& spec, double octave_steps) {
  const Tensor low = range.low.clamp_max(0).neg().to(at::kDouble), high = range.high.clamp_min(0).to(at::kDouble);
  const auto lowest = static_cast<double>(spec.lowest()), highest = static_cast<double>(spec.highest());
  const auto finished = [&](const Tensor& scale, const Tensor& zero_point) {
    return Quantizer{spec, scale.to(at::kFloat), zero_point.to(at::kFloat), at::full_like(range.low, octave_steps)};
  };
  if (spec.symmetric) {
    const Tensor scale = at::maximum(one_sided_scale(low, -lowest, octave_steps), one_sided_scale(high, highest, octave_steps));
    return finished(scale.clamp_min(smallest_scale), at::zeros_like(low));
  }
  const double span = std::exp2((highest - lowest) / octave_steps) - 1;
  const Tensor sum = low + high;
  const Tensor scale = ((sum + at::sqrt(sum * sum + 4 * span * low * high)) / (2 * span)).clamp_min(smallest_scale);
  const Tensor below = at::log2(1 + low / scale) * octave_steps;
  return finished(scale, at::round(lowest + below).clamp(lowest, highest));
}

}  // namespace eidolon
