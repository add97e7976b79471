// A TOML value into the field of a job, if the key allows it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <variant>

#include "base/error.h"
#include "job/schema.h"
#include "job/toml_sections.h"
#include "job/toml_text.h"

namespace eidolon {

/// Each stores `value` in `field` and returns true, or returns false if type or range do not fit. Integers fit numbers;
/// NaN and infinities fit nothing. Paths are made by job_path(), relative to `base`, which may throw BadInput.
bool store(const TomlValue& value, const Allowed& allowed, const std::filesystem::path& base, bool& field);
bool store(const TomlValue& value, const Allowed& allowed, const std::filesystem::path& base, int64_t& field);
bool store(const TomlValue& value, const Allowed& allowed, const std::filesystem::path& base, uint64_t& field);
bool store(const TomlValue& value, const Allowed& allowed, const std::filesystem::path& base, double& field);
bool store(const TomlValue& value, const Allowed& allowed, const std::filesystem::path& base, std::string& field);
bool store(const TomlValue& value, const Allowed& allowed, const std::filesystem::path& base, std::filesystem::path& field);

template <class Value>
bool store(const TomlValue& value, const Allowed& allowed, const std::filesystem::path& base, std::optional<Value>& field) {
  const std::string* word = std::get_if<std::string>(&value);
  if (word != nullptr && *word == "auto") {
    field.reset();
    return true;
  }
  Value stored{};
  const bool fits = store(value, allowed, base, stored);
  if (fits) {
    field = stored;
  }
  return fits;
}

/// The value as a message shows it: 'many', 2.5, an array.
std::string shown(const TomlValue& value);

/// Throws BadInput "'quantization.weight_bits' is 9, but must be an integer from 2 to 8".
template <class Field>
void assign(Field& field, const TomlValue& value, const Key& key, const std::filesystem::path& base) {
  if (!store(value, key.allowed, base, field)) {
    throw BadInput("'" + full_name(key) + "' is " + shown(value) + ", but must be " + accepted_text<Field>(key));
  }
}

}  // namespace eidolon
