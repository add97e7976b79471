#include "quantization/range_search.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "quantization/percentile.h"

namespace eidolon {
namespace {

constexpr double tail_level = 0.999;
/// After I&S-ViT (arXiv 2311.10126) and RepQ-ViT (arXiv 2212.08254), whose lists differ for weights and activations; ascending.
constexpr std::array<double, 10> mse_levels{0.97, 0.98, 0.99, 0.995, tail_level, 0.9995, 0.9999, 0.99995, 0.99999, 1.0};
constexpr double smallest_shrink = 0.3;    ///< of the ranges tried, as a share of the extremes
constexpr double most_stretch = 1.5;       ///< 6 / 4: the largest value of E2M1 over the second largest
constexpr double smallest_factor = 1e-30;  ///< of a tensor of zeros

/// A row per scale, in fresh memory.
Tensor as_rows(const Tensor& values, const QuantizerSpec& spec) {
  const Scaling& scaling = spec.scaling;
  const Tensor flat = scaling.granularity == Granularity::channel ? values.movedim(scaling.axis, 0).flatten(1)
                      : scaling.granularity == Granularity::block && !scaling.from_values
                          ? to_blocks(values, scaling).reshape({-1, scaling.block})
                          : values.reshape({1, -1});
  const Tensor rows = at::empty(flat.sizes(), flat.options().dtype(at::kFloat)).copy_(flat);
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
  const at::TensorOptions places = rows.options().dtype(at::kLong);
  const Tensor picks = at::arange(kept, places).mul_(middle).floor_divide_(kept).add_(tail);
  const Tensor columns = at::cat({at::arange(tail, places), picks, at::arange(size - tail, size, places)});
  Tensor weights = at::ones({limit}, rows.options().dtype(at::kDouble));
  weights.narrow(0, tail, kept).fill_(static_cast<double>(middle) / static_cast<double>(kept));
  return {rows.index_select(1, columns), weights};
}

/// Of rows whose scale, in the first axis of its own, stands beside them.
Tensor squared_error(const Sample& sample, Quantizer quantizer) {
  quantizer.spec.scaling = per_channel(0);
  const Tensor error = fake_quantize(sample.rows, quantizer).sub_(sample.rows).square_();
  return sample.weights.defined() ? at::mv(error.to(at::kDouble), sample.weights) : error.sum(1, false, at::kDouble);
}

/// Percentiles, and the extremes drawn in or stretched up to `widest`: towards 0, or towards the mean where the range need not
/// hold 0.
std::vector<Range> candidate_ranges(const Tensor& rows, const std::vector<Range>& at_levels, bool around_mean, double step,
                                    double widest) {
  const Range& extremes = at_levels.back();
  const Tensor anchor = around_mean ? rows.mean(1) : at::zeros_like(extremes.low);
  std::vector<Range> candidates{extremes};
  const auto add = [&](double share) {
    candidates.push_back({anchor + (extremes.low - anchor) * share, anchor + (extremes.high - anchor) * share});
  };
  for (double shrink = 1.0 - step; shrink > smallest_shrink - step / 2; shrink -= step) add(shrink);
  for (double stretch = 1.0 + step; stretch < widest + step / 2; stretch += step) add(stretch);
  candidates.insert(candidates.end(), at_levels.begin(), at_levels.end() - 1);
  return candidates;
}

/// A few values may fit a grid better whose ends they do not reach: of 0, ..., 3, 4, 6 the last gap is the widest. Where many
/// values share a scale this gains nothing.
double widest_range(const QuantizerSpec& spec) {
  const bool few_values = spec.scaling.granularity == Granularity::block;
  return few_values || spec.format->fixed_bits > 0 ? most_stretch : 1.0;
}

/// The quantizers next to `fitted` whose scales their format can store.
std::vector<Quantizer> storable(const Quantizer& fitted, const Tensor& factor) {
  const ScaleFormat stored = fitted.spec.scaling.stored;
  if (stored == ScaleFormat::float32) return {fitted};
  Quantizer up = fitted;
  up.factor = factor;
  up.scale = stored_scale(factor.defined() ? fitted.scale / factor : fitted.scale, stored);
  if (stored != ScaleFormat::e8m0) return {up};
  Quantizer down = up;
  down.scale = up.scale / 2;
  return {up, down};
}

std::vector<Quantizer> candidates(const Tensor& rows, const std::vector<Range>& at_levels, const QuantizerSpec& spec,
                                  bool free_zero_point, const Tensor& factor) {
  const Format& format = *spec.format;
  const bool around_mean = free_zero_point && !spec.symmetric && format.is_uniform;
  std::vector<Quantizer> result;
  for (const Range& range : candidate_ranges(rows, at_levels, around_mean, format.shrink_step, widest_range(spec))) {
    for (const Quantizer& fitted : format.fits(range, spec, free_zero_point)) {
      for (const Quantizer& candidate : storable(fitted, factor)) result.push_back(candidate);
    }
  }
  return result;
}

/// NVFP4: the factor with which the largest scale that any block can need is the largest E4M3 value. Otherwise undefined.
Tensor factor_of(const Tensor& values, const QuantizerSpec& spec) {
  if (spec.scaling.stored != ScaleFormat::e4m3) return {};
  const double largest = spec.format->highest_value * formats::e4m3.highest_value;
  return values.abs().amax().reshape({1}).div(largest).clamp_min(smallest_factor);
}

Quantizer best_range(Tensor& rows, const QuantizerSpec& spec, bool free_zero_point, Ranges ranges) {
  const Tensor factor = factor_of(rows, spec);
  if (spec.scaling.granularity == Granularity::block && spec.scaling.from_values) {
    return {
        .spec = spec, .scale = at::ones({1}, rows.options()), .zero_point = at::zeros({1}, rows.options()), .factor = factor};
  }
  const std::vector<Range> at_levels = percentiles(rows, mse_levels);
  const std::vector<Quantizer> all = candidates(rows, at_levels, spec, free_zero_point, factor);
  if (ranges == Ranges::of_extremes) return all.front();
  const Sample sample = thinned(rows);
  Quantizer best;
  Tensor least;
  for (const Quantizer& candidate : all) {
    const Tensor error = squared_error(sample, candidate);
    if (!least.defined()) {
      best = candidate;
      least = error;
      continue;
    }
    const Tensor better = at::lt(error, least);
    best.scale = at::where(better, candidate.scale, best.scale);
    best.zero_point = at::where(better, candidate.zero_point, best.zero_point);
    if (best.companding.defined()) best.companding = at::where(better, candidate.companding, best.companding);
    least = at::minimum(error, least);
  }
  return best;
}

}  // namespace

Quantizer search_range(const Tensor& values, const QuantizerSpec& spec, bool free_zero_point, Ranges ranges) {
  const at::NoGradGuard no_gradients;
  Tensor rows = as_rows(values, spec);
  return best_range(rows, spec, free_zero_point, ranges);
}

}  // namespace eidolon
