// What kind of number a quantizer gives, in words.
#pragma once

#include <string>

#include "quantization/quantizer.h"

namespace eidolon::parts {

/// "int8": even steps; "e4m3 (float, 8 bits)": a floating-point format; "companded (table, 4 bits)": codes whose values stand
/// in a table.
inline std::string number_kind(const QuantizerSpec& spec) {
  const std::string bits = std::to_string(spec.bits);
  if (spec.format->is_uniform) return (spec.symmetric ? "int" : "uint") + bits;
  if (spec.format->fixed_bits > 0) return spec.format->name + " (float, " + bits + " bits)";
  return spec.format->name + " (table, " + bits + " bits)";
}

}  // namespace eidolon::parts
