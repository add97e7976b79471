// Figures as a person and as a program read them. What is not defined is left out, with the reason.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "evaluation/metrics.h"

namespace eidolon {

using NamedFigures = std::vector<std::pair<std::string, Figure>>;

/// {"top1": 0.98, "top1_se": 0.01, ...}. Keys of what is not defined are absent; their reasons are then in "undefined":
/// {"kl_se": "one image"}.
nlohmann::ordered_json json_of(const NamedFigures& figures);

/// " 98.33 +- 0.68 %"; "not defined (the teacher is never right)".
std::string percent_text(const Figure& figure);

/// "0.0440 +- 0.0098"; "0.0440 (error not defined: one image)".
std::string nats_text(const Figure& figure);

}  // namespace eidolon
