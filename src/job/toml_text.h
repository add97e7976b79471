// Values as TOML writes them, and what a key accepts in words.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <type_traits>

#include "job/schema.h"

namespace eidolon {

std::string toml_text(bool value);
std::string toml_text(int64_t value);
std::string toml_text(uint64_t value);
std::string toml_text(double value);                        ///< the shortest digits that read back to the same double
std::string toml_text(const std::string& value);            ///< quoted and escaped
std::string toml_text(const std::filesystem::path& value);  ///< quoted, escaped, with text_of() of job_path.h

template <class Value>
std::string toml_text(const std::optional<Value>& value) {
  return value ? toml_text(*value) : "\"auto\"";
}

enum class Kind { boolean, integer, number, word, path };

template <class Field>
constexpr Kind kind_of = std::is_same_v<Field, bool>                    ? Kind::boolean
                         : std::is_integral_v<Field>                    ? Kind::integer
                         : std::is_floating_point_v<Field>              ? Kind::number
                         : std::is_same_v<Field, std::filesystem::path> ? Kind::path
                                                                        : Kind::word;
template <class Value>
constexpr Kind kind_of<std::optional<Value>> = kind_of<Value>;

/// "an integer from 2 to 8", "\"cpu\", \"cuda\" or \"auto\"", "true or false".
std::string accepted_text(const Allowed& allowed, Kind kind, bool can_be_auto);

template <class Field>
std::string accepted_text(const Key& key) {
  return accepted_text(key.allowed, kind_of<Field>, can_be_auto<Field>);
}

}  // namespace eidolon
