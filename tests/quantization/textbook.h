// The quantizers as their equations read, differentiated by autograd with the rounding passed straight through.
#pragma once

#include "quantization/quantizer.h"

namespace eidolon {

inline Tensor straight_through_round(const Tensor& x) {
  return x + (at::round(x) - x).detach();
}

inline Tensor along_channel(const Tensor& values, const Tensor& x, int64_t axis) {
  if (axis < 0) return values.reshape({});
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[static_cast<size_t>(axis)] = values.numel();
  return values.reshape(shape);
}

inline Tensor textbook_fake_quantize(const Tensor& x, const Quantizer& quantizer) {
  const QuantizerSpec& spec = quantizer.spec;
  if (spec.of_row_maximum) {
    Quantizer absolute = quantizer;
    absolute.spec.of_row_maximum = false;
    const Tensor maximum = std::get<0>(x.detach().abs().max(-1, true));
    return maximum * textbook_fake_quantize(x / maximum, absolute);
  }
  const Tensor s = along_channel(quantizer.scale.to(x.scalar_type()), x, spec.channel_axis);
  const Tensor z = along_channel(quantizer.zero_point.to(x.scalar_type()), x, spec.channel_axis);
  const double levels = static_cast<double>(int64_t{1} << spec.bits);
  if (spec.kind == QuantizerKind::uniform) {
    const double lowest = spec.symmetric ? -levels / 2 : 0;
    return (at::clamp(straight_through_round(x / s) + z, lowest, lowest + levels - 1) - z) * s;
  }
  if (spec.kind == QuantizerKind::companded) {
    const Tensor m = along_channel(quantizer.octave_steps.to(x.scalar_type()), x, spec.channel_axis);
    const double lowest = spec.symmetric ? -levels / 2 : 0;
    const Tensor place = straight_through_round(at::sign(x) * m * at::log2(1 + x.abs() / s));
    const Tensor q = at::clamp(place + z, lowest, lowest + levels - 1) - z;
    return at::sign(x) * s * (at::exp2(at::sign(x) * q / m) - 1);
  }
  const double factor = spec.kind == QuantizerKind::log2 ? 1 : 2;
  const Tensor q = at::clamp(straight_through_round(-factor * at::log2(x / s)), 0, levels - 1);
  const Tensor y = s * at::exp2(-q / factor);
  if (spec.kind == QuantizerKind::log2) return y;
  return at::where(at::eq(q, levels - 1), at::zeros_like(y), y);
}

}  // namespace eidolon
