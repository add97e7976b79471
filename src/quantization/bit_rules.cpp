#include "quantization/bit_rules.h"

#include <fnmatch.h>

#include <charconv>
#include <system_error>

#include "base/error.h"
#include "base/trimmed.h"

namespace eidolon {
namespace {

BitRule rule_of(std::string_view text) {
  const size_t colon = text.rfind(':');
  const std::string_view pattern = trimmed(text.substr(0, colon)),
                         value = colon == std::string_view::npos ? "" : trimmed(text.substr(colon + 1));
  BitRule rule{std::string(pattern), std::nullopt};
  if (!pattern.empty() && value == "float") return rule;
  int64_t bits = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), bits);
  if (pattern.empty() || error != std::errc() || end != value.data() + value.size() || bits < 2 || bits > 8) {
    throw BadInput("quantization.bits_for: '" + std::string(text) +
                   "' is no rule; one reads \"blocks.0.*: 8\", with 2 to 8 bits, or \"head.*: float\"");
  }
  rule.bits = bits;
  return rule;
}

}  // namespace

bool BitRule::matches(const std::string& node_name) const {
  return ::fnmatch(pattern.c_str(), node_name.c_str(), 0) == 0;
}

std::vector<BitRule> bit_rules(std::string_view text) {
  std::vector<BitRule> rules;
  while (!trimmed(text).empty()) {
    const size_t comma = text.find(',');
    rules.push_back(rule_of(trimmed(text.substr(0, comma))));
    text = comma == std::string_view::npos ? "" : text.substr(comma + 1);
  }
  return rules;
}

}  // namespace eidolon
