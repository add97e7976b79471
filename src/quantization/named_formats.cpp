#include "quantization/named_formats.h"

#include <array>
#include <string_view>

#include "base/error.h"

namespace eidolon {
namespace {

/// What hardware multiplies: an element format and what shares its scale. Weights are calibrated; where scales follow from the
/// values, those of the activations are computed from each tensor, as a runtime would.
struct HardwareFormat {
  std::string_view name;
  const Format* format;
  int64_t block;  ///< values that share a scale; 0: a weight's output channel, an activation's whole tensor
  ScaleFormat stored;
};

const std::array hardware_formats{
    HardwareFormat{"fp8_e4m3", &formats::e4m3, 0, ScaleFormat::float32},  // OCP OFP8
    HardwareFormat{"fp8_e5m2", &formats::e5m2, 0, ScaleFormat::float32},
    HardwareFormat{"mxfp8_e4m3", &formats::e4m3, 32, ScaleFormat::e8m0},  // OCP MX 1.0
    HardwareFormat{"mxfp8_e5m2", &formats::e5m2, 32, ScaleFormat::e8m0},
    HardwareFormat{"mxfp6_e3m2", &formats::e3m2, 32, ScaleFormat::e8m0},
    HardwareFormat{"mxfp6_e2m3", &formats::e2m3, 32, ScaleFormat::e8m0},
    HardwareFormat{"mxfp4", &formats::e2m1, 32, ScaleFormat::e8m0},
    HardwareFormat{"nvfp4", &formats::e2m1, 16, ScaleFormat::e4m3},  // NVIDIA Blackwell
};

const HardwareFormat* hardware_format(const std::string& name) {
  for (const HardwareFormat& entry : hardware_formats) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

/// The axis along which a product sums, where blocks lie: of values the tokens, of all others the last.
int64_t summed_axis(Role role) {
  return role == Role::value ? 2 : -1;
}

}  // namespace

QuantizerSpec weight_spec(const std::string& format, int64_t bits, bool symmetric) {
  if (const HardwareFormat* hardware = hardware_format(format)) {
    const Scaling scaling = hardware->block == 0 ? per_channel(0) : per_block(1, hardware->block, hardware->stored);
    return {.format = hardware->format, .bits = hardware->format->fixed_bits, .scaling = scaling};
  }
  QuantizerSpec spec{.bits = bits, .symmetric = symmetric, .scaling = per_channel(0)};
  if (format == "integer") return spec;
  for (const int64_t block : {32, 64, 128}) {
    if (format != "integer_block" + std::to_string(block)) continue;
    spec.scaling = per_block(1, block);
    return spec;
  }
  throw BadInput("quantization.weight_format = \"" + format + "\" is not known; `eidolon keys --all` lists what is");
}

std::optional<QuantizerSpec> hardware_activation(const std::string& format, Role role) {
  const HardwareFormat* hardware = hardware_format(format);
  if (hardware == nullptr) return std::nullopt;
  const Scaling scaling =
      hardware->block == 0 ? per_tensor : per_block(summed_axis(role), hardware->block, hardware->stored, /*from_values=*/true);
  return QuantizerSpec{.format = hardware->format, .bits = hardware->format->fixed_bits, .scaling = scaling};
}

}  // namespace eidolon
