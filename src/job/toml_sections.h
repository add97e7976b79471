// TOML text as sections and their values, with line numbers. A nested table is a section of its own, "synthesis.sardfq". The
// only file that knows the TOML library.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace eidolon {

/// A value that no key takes, by what it is: "an array", "a table", "a date".
struct OtherToml {
  std::string what;
};

using TomlList = std::vector<std::string>;
using TomlValue = std::variant<bool, int64_t, double, std::string, TomlList, OtherToml>;

struct TomlEntry {
  std::string name;
  TomlValue value;
  uint32_t line = 0;
};

struct TomlSection {
  std::string name;  ///< empty for values that stand before the first section
  uint32_t line = 0;
  std::vector<TomlEntry> entries;
};

/// In the order of the lines. Throws BadInput "<name>:<line>: ..." on a syntax error, and if the text is larger than any job
/// (64 KiB, 2048 dots).
std::vector<TomlSection> toml_sections(std::string_view text, const std::string& name);

/// The value that stands right of `--set key=`. What is no TOML value is a bare word and taken as a string.
TomlValue toml_value_or_word(std::string_view text);

}  // namespace eidolon
