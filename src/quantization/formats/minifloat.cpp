#include <sstream>
#include <string>
#include <vector>

#include "quantization/formats/fits.h"

namespace eidolon {
namespace formats {
namespace {

/// Exponent bits E and mantissa bits M. The magnitude's bit pattern counts the format's values from 0 up: below 2^(lowest
/// exponent) in equal steps (subnormals), then 2^M values an octave. It is the grid index, with the sign of the value.
template <int mantissa, int lowest_exponent, int last>
struct Minifloat {
  static constexpr double octave = 1 << mantissa;  ///< indices per octave
  static constexpr int last_octave = last / (1 << mantissa) - 1;

  static constexpr double power_of_two(int exponent) {
    double power = 1;
    for (; exponent > 0; --exponent) power *= 2;
    for (; exponent < 0; ++exponent) power /= 2;
    return power;
  }
  static constexpr double smallest_normal = power_of_two(lowest_exponent);
  static constexpr double highest =
      (last - last_octave * (1 << mantissa)) * power_of_two(last_octave + lowest_exponent - mantissa);

  /// Exact: round() meets ties at the same even mantissas as IEEE 754. frexp() gives v = f 2^e with f in [1/2, 1).
  static Tensor nearest(const Tensor& x, const Grid& grid) {
    const Tensor ratio = at::div(x, grid.scale), v = at::abs(ratio).clamp_max_(2 * highest);
    const auto [fraction, exponent] = at::frexp(v);
    const Tensor normal = at::round(fraction * (2 * octave)) + (exponent - (1 + lowest_exponent)).to(v.scalar_type()) * octave;
    const Tensor subnormal = at::round(v * (octave / smallest_normal));
    return at::where(at::lt(v, smallest_normal), subnormal, normal).copysign_(ratio);
  }

  static Tensor value_(const Tensor& index, const Grid& grid) {
    const Tensor magnitude = at::abs(index);
    const Tensor octaves = at::floor(magnitude / octave).sub_(1).clamp_min_(0);
    const Tensor steps = magnitude - octaves * octave;
    return at::exp2(octaves + (lowest_exponent - mantissa)).mul_(steps).copysign_(index).mul_(grid.scale);
  }

  static Codes codes(int64_t, bool) { return {.lowest = -last, .highest = last}; }

  static std::vector<Quantizer> fits(const Range& range, const QuantizerSpec& spec, bool) {
    const Tensor scale = at::maximum(range.low.abs(), range.high.abs()).div(highest).clamp_min(smallest_scale);
    return {{.spec = spec, .scale = scale, .zero_point = at::zeros_like(scale)}};
  }
};

/// Minifloat's functions for one element.
template <int mantissa, int lowest_exponent, int last>
std::string cuda_code() {
  std::ostringstream constants;
  constants << "enum { mantissa = " << mantissa << ", lowest_exponent = " << lowest_exponent << ", octave = " << (1 << mantissa)
            << " };\n"
            << "template <typename T> T highest_value() { return T(" << Minifloat<mantissa, lowest_exponent, last>::highest
            << "); }\n";
  return constants.str() + R"(
template <typename T> T nearest(T x, T s, T m) {
  const T ratio = x / s, limit = 2 * highest_value<T>(), size = fabs(ratio), v = size > limit ? limit : size;
  int exponent = 0;
  const T fraction = frexp(v, &exponent);
  const T normal = rint(fraction * T(2 * octave)) + T(exponent - (1 + lowest_exponent)) * T(octave);
  const T subnormal = rint(ldexp(v, mantissa - lowest_exponent));
  return copysign(v < ldexp(T(1), lowest_exponent) ? subnormal : normal, ratio);
}
template <typename T> T value(T index, T s, T m, T highest) {
  const T magnitude = fabs(index), above = floor(magnitude / T(octave)) - T(1), octaves = above < T(0) ? T(0) : above;
  const T steps = magnitude - octaves * T(octave);
  return copysign(ldexp(steps, int(octaves) + lowest_exponent - mantissa), index) * s;
}
template <typename T> T slope(T x, T y, T s) { return T(1); }
)";
}

template <int mantissa, int lowest_exponent, int last>
Format minifloat(const char* name, int64_t bits) {
  using Values = Minifloat<mantissa, lowest_exponent, last>;
  return {.name = name,
          .fixed_bits = bits,
          .mean_step = Values::highest / last,
          .highest_value = Values::highest,
          .codes = Values::codes,
          .nearest = Values::nearest,
          .value_ = Values::value_,
          .fits = Values::fits,
          .cuda_code = cuda_code<mantissa, lowest_exponent, last>()};
}

}  // namespace

const Format e4m3 = minifloat<3, -6, 126>("e4m3", 8);   // 448 is its largest value; pattern 127 is NaN
const Format e5m2 = minifloat<2, -14, 123>("e5m2", 8);  // 57344; patterns 124 to 127 are infinity and NaN
const Format e3m2 = minifloat<2, -2, 31>("e3m2", 6);    // 28
const Format e2m3 = minifloat<3, 0, 31>("e2m3", 6);     // 7.5
const Format e2m1 = minifloat<1, 0, 7>("e2m1", 4);      // 6

}  // namespace formats
}  // namespace eidolon
