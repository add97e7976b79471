#include "quantization/range_search.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "quantization/companding.h"

namespace eidolon {
namespace {

constexpr double tail_level = 0.999;
/// After I&S-ViT (arXiv 2311.10126) and RepQ-ViT (arXiv 2212.08254), whose lists differ for weights and activations; ascending.
constexpr std::array<double, 10> mse_levels{0.97, 0.98, 0.99, 0.995, tail_level, 0.9995, 0.9999, 0.99995, 0.99999, 1.0};
constexpr double smallest_shrink = 0.3, shrink_step = 0.02;
constexpr double companded_shrink_step = 0.1;  ///< where the steps end matters less than how fast they widen
constexpr double smallest_scale = 1e-8;
constexpr double most_zero_point = 1 << 19;  ///< places this large still leave float32 a bit for the fraction of a step

/// channels x values (or 1 x values) in fresh memory on the CPU.
Tensor as_rows(const Tensor& values, const QuantizerSpec& spec) {
  const Tensor flat = spec.channel_axis < 0 ? values.reshape({1, -1}) : values.movedim(spec.channel_axis, 0).flatten(1);
  const Tensor rows = at::empty(flat.sizes(), at::kFloat).copy_(flat);
  if (rows.numel() == 0) throw Fault("a quantizer's range was to be fitted to no values at all; give at least one image");
  if (!rows.isfinite().all().item<bool>()) {
    throw Fault("a quantizer's range was to be fitted to values with NaN or infinity; the model overflows on these images");
  }
  return rows;
}

/// What the squared error is measured on: each row whole, or its tails whole and its middle thinned.
struct Sample {
  Tensor rows;
  Tensor weights;  ///< how many values each column stands for; undefined if one
};

/// `rows` as percentiles() left them. Tails count in full because a few large values can carry most of the error.
Sample thinned(const Tensor& rows) {
  const int64_t size = rows.size(1);
  const int64_t limit = rows.size(0) == 1 ? 65521 : 4093;  // primes, so that no period of the values is sampled in step
  if (size <= limit) return {rows, {}};
  const int64_t tail = std::min(outside(tail_level, size), limit / 4);
  const int64_t middle = size - 2 * tail, kept = limit - 2 * tail;
  const Tensor picks = at::arange(kept, at::kLong).mul_(middle).floor_divide_(kept).add_(tail);
  const Tensor columns = at::cat({at::arange(tail, at::kLong), picks, at::arange(size - tail, size, at::kLong)});
  Tensor weights = at::ones({limit}, at::kDouble);
  weights.narrow(0, tail, kept).fill_(static_cast<double>(middle) / static_cast<double>(kept));
  return {rows.index_select(1, columns), weights};
}

Tensor squared_error(const Sample& sample, Quantizer quantizer) {
  quantizer.spec.channel_axis = 0;
  const Tensor error = fake_quantize(sample.rows, quantizer).sub_(sample.rows).square_();
  return sample.weights.defined() ? at::mv(error.to(at::kDouble), sample.weights) : error.sum(1, false, at::kDouble);
}

/// Percentiles, and the extremes drawn in: towards 0, or towards the mean where the range need not hold 0.
std::vector<Range> candidate_ranges(const Tensor& rows, const std::vector<Range>& at_levels, bool around_mean, double step) {
  const Range extremes = at_levels.back();
  const Tensor anchor = around_mean ? rows.mean(1) : at::zeros_like(extremes.low);
  std::vector<Range> candidates{extremes};
  for (double shrink = 1.0 - step; shrink > smallest_shrink - step / 2; shrink -= step) {
    candidates.push_back({anchor + (extremes.low - anchor) * shrink, anchor + (extremes.high - anchor) * shrink});
  }
  candidates.insert(candidates.end(), at_levels.begin(), at_levels.end() - 1);
  return candidates;
}

std::vector<Quantizer> candidates(const Tensor& rows, const std::vector<Range>& at_levels, const QuantizerSpec& spec,
                                  bool free_zero_point) {
  const bool companded = spec.kind == QuantizerKind::companded;
  const bool around_mean = free_zero_point && !spec.symmetric && !companded;
  std::vector<Quantizer> result;
  for (const Range& range : candidate_ranges(rows, at_levels, around_mean, companded ? companded_shrink_step : shrink_step)) {
    if (!companded) result.push_back(quantizer_of(range, spec, free_zero_point));
    for (const double steps : companded ? octave_step_choices(spec.bits) : std::vector<double>{}) {
      result.push_back(companded_quantizer(range, spec, steps));
    }
  }
  return result;
}

Quantizer least_squares(Tensor& rows, const QuantizerSpec& spec, bool free_zero_point) {
  const std::vector<Range> at_levels = percentiles(rows, mse_levels);
  const Sample sample = thinned(rows);
  Quantizer best;
  Tensor least;
  for (const Quantizer& candidate : candidates(rows, at_levels, spec, free_zero_point)) {
    const Tensor error = squared_error(sample, candidate);
    if (!least.defined()) {
      best = candidate;
      least = error;
      continue;
    }
    const Tensor better = at::lt(error, least);
    best.scale = at::where(better, candidate.scale, best.scale);
    best.zero_point = at::where(better, candidate.zero_point, best.zero_point);
    if (best.octave_steps.defined()) best.octave_steps = at::where(better, candidate.octave_steps, best.octave_steps);
    least = at::minimum(error, least);
  }
  return best;
}

}  // namespace

Quantizer quantizer_of(const Range& range, const QuantizerSpec& spec, bool free_zero_point) {
  if (spec.kind == QuantizerKind::companded) return companded_quantizer(range, spec, octave_step_choices(spec.bits).front());
  const Tensor none = at::zeros_like(range.low);
  if (spec.kind != QuantizerKind::uniform) return {spec, range.high.clamp_min(smallest_scale), none};
  const auto lowest = static_cast<double>(spec.lowest()), highest = static_cast<double>(spec.highest());
  if (spec.symmetric) {
    const Tensor scale = at::maximum(range.low / lowest, range.high / highest);
    return {spec, scale.clamp_min(smallest_scale), none};
  }
  const Tensor low = free_zero_point ? range.low : range.low.clamp_max(0);
  const Tensor high = free_zero_point ? range.high : range.high.clamp_min(0);
  const Tensor magnitude = at::maximum(low.abs(), high.abs());
  const Tensor scale = at::maximum((high - low) / (highest - lowest), magnitude / most_zero_point).clamp_min(smallest_scale);
  const Tensor zero_point = at::round(lowest - low / scale);
  return {spec, scale, free_zero_point ? zero_point : zero_point.clamp(lowest, highest)};
}

Quantizer search_range(const Tensor& values, const QuantizerSpec& spec, bool free_zero_point) {
  const at::NoGradGuard no_gradients;
  Tensor rows = as_rows(values, spec);
  return least_squares(rows, spec, free_zero_point).with([&](const Tensor& tensor) { return tensor.to(values.device()); });
}

}  // namespace eidolon
