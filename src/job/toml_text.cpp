#include "job/toml_text.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <string_view>
#include <system_error>
#include <vector>

#include "job/job_path.h"

namespace eidolon {
namespace {

std::string digits(double value) {
  char text[64];
  const auto [end, error] = std::to_chars(std::begin(text), std::end(text), value);
  return error == std::errc{} ? std::string(text, end) : std::string();
}

std::string bound_text(double bound, Kind kind) {
  return kind == Kind::integer ? std::to_string(static_cast<int64_t>(bound)) : digits(bound);
}

std::string range_text(const Allowed& allowed, Kind kind) {
  std::string noun = kind == Kind::integer ? "an integer" : "a number";
  if (std::isinf(allowed.low)) {
    return noun;
  }
  if (std::isinf(allowed.high)) {
    return noun + " of at least " + bound_text(allowed.low, kind);
  }
  return noun + " from " + bound_text(allowed.low, kind) + " to " + bound_text(allowed.high, kind);
}

std::string choice_text(const std::vector<std::string_view>& choices) {
  std::string text;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const std::string_view separator = i == 0 ? "" : i + 1 == choices.size() ? " or " : ", ";
    text.append(separator).append("\"").append(choices[i]).append("\"");
  }
  return text;
}

}  // namespace

std::string toml_text(bool value) {
  return value ? "true" : "false";
}
std::string toml_text(int64_t value) {
  return std::to_string(value);
}
std::string toml_text(uint64_t value) {
  return std::to_string(value);
}
std::string toml_text(const std::filesystem::path& value) {
  return toml_text(text_of(value));
}

std::string toml_text(double value) {
  std::string text = digits(value);
  const bool is_plain_integer = text.find_first_not_of("-0123456789") == std::string::npos;
  return is_plain_integer ? text + ".0" : text;
}

std::string toml_text(const std::string& value) {
  std::string text = "\"";
  for (const char letter : value) {
    const auto byte = static_cast<unsigned char>(letter);
    if (letter == '"' || letter == '\\') {
      text.append({'\\', letter});
    } else if (byte < 0x20 || byte == 0x7f) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04X", static_cast<unsigned>(byte));
      text += escape;
    } else {
      text += letter;
    }
  }
  return text + "\"";
}

std::string accepted_text(const Allowed& allowed, Kind kind, bool can_be_auto) {
  if (kind == Kind::word && !allowed.choices.empty()) {
    std::vector<std::string_view> choices = allowed.choices;
    if (can_be_auto) {
      choices.push_back("auto");
    }
    if (allowed.list) return choice_text(choices) + ", several as an array, or none";
    return choice_text(choices) + (allowed.mixture ? ", or several with shares (\"leaves:2, pink:1\")" : "");
  }
  const std::string text = kind == Kind::boolean ? "true or false"
                           : kind == Kind::word  ? "a text in quotes"
                           : kind == Kind::path  ? "a path in quotes"
                                                 : range_text(allowed, kind);
  return can_be_auto ? text + " or \"auto\"" : text;
}

}  // namespace eidolon
