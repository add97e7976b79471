// Activations by their names in facts and files.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "model/step.h"

namespace eidolon {

inline std::optional<Activation> activation_named(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, Activation>, 6> all{{{"gelu", Activation::gelu},
                                                                        {"gelu_tanh", Activation::gelu_tanh},
                                                                        {"quick_gelu", Activation::quick_gelu},
                                                                        {"silu", Activation::silu},
                                                                        {"relu", Activation::relu},
                                                                        {"relu6", Activation::relu6}}};
  for (const auto& [known, activation] : all) {
    if (known == name) return activation;
  }
  return std::nullopt;
}

/// The same, of facts that a family has checked.
inline Activation activation_of(std::string_view name) {
  if (const auto activation = activation_named(name)) return *activation;
  throw Fault("no activation is called '" + std::string(name) + "'");
}

}  // namespace eidolon
