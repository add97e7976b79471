#include <vector>

#include "quantization/formats/fits.h"

namespace eidolon {
namespace formats {
namespace {

/// Keeps y / x finite at x = 0, where a clamped value's slope of 0 meets it.
constexpr double smallest_divisor = 1e-30;

/// Values below zero, which softmax never gives, count as zero: log2 makes them -infinity, the last index.
template <int steps_per_octave>
Tensor nearest(const Tensor& x, const Grid& grid) {
  return at::div(x, grid.scale).clamp_min_(0).log2_().mul_(-steps_per_octave).round_();
}

Tensor value_of_log2_(const Tensor& index, const Grid& grid) {
  return index.neg_().exp2_().mul_(grid.scale);
}

Tensor value_of_log_sqrt2_(const Tensor& index, const Grid& grid) {
  const Tensor is_zero = at::eq(index, grid.highest);
  return index.mul_(-0.5).exp2_().mul_(grid.scale).masked_fill_(is_zero, 0);
}

/// With y = s 2^-k and k = -log2(x / s), dy/dx = y / x.
Tensor slope(const Tensor& x, const Tensor& y, const Grid&) {
  return y / at::clamp_min(x, smallest_divisor);
}

std::vector<Quantizer> fits(const Range& range, const QuantizerSpec& spec, bool) {
  return {{.spec = spec, .scale = range.high.clamp_min(smallest_scale), .zero_point = at::zeros_like(range.low)}};
}

}  // namespace

const Format log2{.name = "log2",
                  .codes = unsigned_codes,
                  .nearest = nearest<1>,
                  .value_ = value_of_log2_,
                  .slope = slope,
                  .fits = fits,
                  .cuda_code = R"(
template <typename T> T nearest(T x, T s, T m) {
  const T ratio = x / s;
  return rint(-log2(ratio < T(0) ? T(0) : ratio));
}
template <typename T> T value(T index, T s, T m, T highest) { return exp2(-index) * s; }
template <typename T> T slope(T x, T y, T s) { return y / (x < T(1e-30) ? T(1e-30) : x); }
)"};

const Format log_sqrt2{.name = "log_sqrt2",
                       .codes = unsigned_codes,
                       .nearest = nearest<2>,
                       .value_ = value_of_log_sqrt2_,
                       .slope = slope,
                       .fits = fits,
                       .cuda_code = R"(
template <typename T> T nearest(T x, T s, T m) {
  const T ratio = x / s;
  return rint(log2(ratio < T(0) ? T(0) : ratio) * T(-2));
}
template <typename T> T value(T index, T s, T m, T highest) {
  return index == highest ? T(0) : exp2(index * T(-0.5)) * s;
}
template <typename T> T slope(T x, T y, T s) { return y / (x < T(1e-30) ? T(1e-30) : x); }
)"};

}  // namespace formats
}  // namespace eidolon
