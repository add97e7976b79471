// The number formats that a job may name (job/number_formats.h), as quantizers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "model/plan.h"
#include "quantization/quantizer.h"

namespace eidolon {

/// "integer": even steps, a scale per output channel. "integer_block32": a scale per 32 inputs; 64 and 128 likewise. Or a
/// format of hardware, whose bits and symmetry are its own. BadInput for another name.
QuantizerSpec weight_spec(const std::string& format, int64_t bits, bool symmetric);

/// A format of hardware for activations of that role; nothing if the name is no such format.
std::optional<QuantizerSpec> hardware_activation(const std::string& format, Role role);

}  // namespace eidolon
