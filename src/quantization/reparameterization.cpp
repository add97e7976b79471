#include "quantization/reparameterization.h"

#include <string>

namespace eidolon {
namespace {

/// Scales below this fraction of the median belong to channels that are constant or nearly so (LayerNorm channels of DeiT-Tiny
/// are exactly zero). Dividing by them would blow up the LayerNorm for nothing.
constexpr double smallest_fraction = 1e-3;

/// What every channel's range is taken to be, and what one quantizer for all of them will be.
struct Ranges {
  Tensor scale, zero_point;                ///< per channel
  Tensor shared_scale, shared_zero_point;  ///< 0-d
};

/// A vanishing scale is replaced by the mean of the others, and its zero point set so that the channel's value is folded to
/// (nearly) 0: there the rounding of the next layer's weights does no harm.
Ranges sound_ranges(const Quantizer& per_channel) {
  const Tensor fitted = per_channel.scale.to(at::kDouble), fitted_zero_point = per_channel.zero_point.to(at::kDouble);
  const Tensor vanishing = at::lt(fitted, fitted.median() * smallest_fraction), sound = vanishing.logical_not();
  const Tensor scale = at::where(vanishing, at::masked_select(fitted, sound).mean(), fitted);

  const auto lowest = static_cast<double>(per_channel.spec.lowest()), highest = static_cast<double>(per_channel.spec.highest());
  const Tensor shared = at::masked_select(fitted_zero_point, sound).mean().round().clamp(lowest, highest);
  const Tensor moved = shared + at::round(fitted_zero_point * fitted / scale);
  const Tensor stored_scale = scale.mean().to(at::kFloat).to(at::kDouble);
  return {scale, at::where(vanishing, moved, fitted_zero_point), stored_scale, shared};
}

}  // namespace

Quantizer reparameterize(Network& network, const Product& product, const Quantizer& per_channel) {
  const at::NoGradGuard no_gradients;
  const auto [scale, zero_point, shared_scale, shared_zero_point] = sound_ranges(per_channel);
  const Tensor ratio = scale / shared_scale;
  const Tensor shift = scale * (zero_point - shared_zero_point);

  const auto parameter = [&](const std::string& name) { return network.parameters.at(name).to(at::kDouble); };
  const auto store = [&](const std::string& name, const Tensor& value) {
    Tensor& stored = network.parameters.at(name);
    stored = value.to(stored.scalar_type());
  };
  const std::string &weight_name = network.plan->name(product.weight), &norm = product.norm;
  const Tensor weight = parameter(weight_name);
  store(product.bias, parameter(product.bias) - at::mv(weight, shift));
  store(weight_name, weight * ratio);
  store(norm + ".weight", parameter(norm + ".weight") / ratio);
  store(norm + ".bias", (parameter(norm + ".bias") + shift) / ratio);

  QuantizerSpec spec = per_channel.spec;
  spec.scaling = per_tensor;
  return {
      .spec = spec, .scale = shared_scale.to(at::kFloat).view({1}), .zero_point = shared_zero_point.to(at::kFloat).view({1})};
}

}  // namespace eidolon
