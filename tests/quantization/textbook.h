// The quantizers as their equations read, differentiated by autograd with the rounding passed straight through.
#pragma once

#include "quantization/quantizer.h"

namespace eidolon {

inline Tensor straight_through_round(const Tensor& x) {
  return x + (at::round(x) - x).detach();
}

inline Tensor along_channel(const Tensor& values, const Tensor& x, const Scaling& scaling) {
  if (scaling.granularity != Granularity::channel) return values.reshape({});
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[static_cast<size_t>(scaling.axis)] = values.numel();
  return values.reshape(shape);
}

inline Tensor textbook_fake_quantize(const Tensor& x, const Quantizer& quantizer) {
  const QuantizerSpec& spec = quantizer.spec;
  if (spec.scaling.granularity == Granularity::row) {
    Quantizer absolute = quantizer;
    absolute.spec.scaling = per_tensor;
    const Tensor maximum = std::get<0>(x.detach().abs().max(-1, true));
    return maximum * textbook_fake_quantize(x / maximum, absolute);
  }
  const Tensor s = along_channel(quantizer.scale.to(x.scalar_type()), x, spec.scaling);
  const Tensor z = along_channel(quantizer.zero_point.to(x.scalar_type()), x, spec.scaling);
  const double levels = static_cast<double>(int64_t{1} << spec.bits);
  if (spec.format == &formats::uniform) {
    const double lowest = spec.symmetric ? -levels / 2 : 0;
    return (at::clamp(straight_through_round(x / s) + z, lowest, lowest + levels - 1) - z) * s;
  }
  if (spec.format == &formats::companded) {
    const Tensor m = along_channel(quantizer.companding.to(x.scalar_type()), x, spec.scaling);
    const double lowest = spec.symmetric ? -levels / 2 : 0;
    const Tensor place = straight_through_round(at::sign(x) * m * at::log2(1 + x.abs() / s));
    const Tensor q = at::clamp(place + z, lowest, lowest + levels - 1) - z;
    return at::sign(x) * s * (at::exp2(at::sign(x) * q / m) - 1);
  }
  const double factor = spec.format == &formats::log2 ? 1 : 2;
  const Tensor q = at::clamp(straight_through_round(-factor * at::log2(x / s)), 0, levels - 1);
  const Tensor y = s * at::exp2(-q / factor);
  if (spec.format == &formats::log2) return y;
  return at::where(at::eq(q, levels - 1), at::zeros_like(y), y);
}

}  // namespace eidolon
