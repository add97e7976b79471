// Texts that strangers wrote, in one line of a terminal.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace eidolon {

/// With a question mark for each control character, which would break the line or steer the terminal, but for those in `kept`.
inline std::string one_line(std::string text, std::string_view kept = "") {
  const auto steers = [&](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 || byte == 0x7f) && kept.find(c) == std::string_view::npos;
  };
  std::replace_if(text.begin(), text.end(), steers, '?');
  return text;
}

}  // namespace eidolon
