// Quantizer specifications in short.
#pragma once

#include <array>
#include <string>

#include "quantization/quantizer.h"

namespace eidolon {

inline constexpr std::array integer_formats{&formats::uniform, &formats::log2, &formats::log_sqrt2, &formats::companded};

/// One scale for the whole tensor at axis -1, otherwise one per channel.
inline Scaling scale_along(int64_t axis) {
  return axis < 0 ? per_tensor : per_channel(axis);
}

inline QuantizerSpec spec_of(const Format& format, int64_t bits, bool symmetric = false, int64_t axis = -1) {
  return {.format = &format, .bits = bits, .symmetric = symmetric, .scaling = scale_along(axis)};
}

inline std::string text_of(const QuantizerSpec& spec) {
  return spec.format->name + " bits " + std::to_string(spec.bits) + " " + name_of(spec.scaling.granularity) + " axis " +
         std::to_string(spec.scaling.axis) + (spec.symmetric ? " symmetric" : "");
}

/// The most usual of the quantizers that fit a range.
inline Quantizer fitted(const Range& range, const QuantizerSpec& spec, bool free_zero_point = false) {
  return spec.format->fits(range, spec, free_zero_point).front();
}

}  // namespace eidolon
