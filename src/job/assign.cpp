#include "job/assign.h"

#include <algorithm>
#include <cmath>
#include <variant>

#include "job/job_path.h"
#include "job/mixture.h"
#include "job/nearest.h"

namespace eidolon {
namespace {

bool within(const Allowed& allowed, double number) {
  return std::isfinite(number) && number >= allowed.low && number <= allowed.high;
}

bool among(const Allowed& allowed, const std::string& word) {
  return allowed.choices.empty() || std::ranges::find(allowed.choices, word) != allowed.choices.end();
}

std::string joined(const TomlList& texts) {
  std::string text;
  for (const std::string& entry : texts) text += (text.empty() ? "" : ", ") + entry;
  return text;
}

bool fits(const Allowed& allowed, const std::string& word) {
  if (allowed.list) {
    return std::ranges::all_of(listed_names(word), [&](const std::string& name) { return among(allowed, name); });
  }
  if (!allowed.mixture) return among(allowed, word);
  const auto shares = mixture_shares(word);
  return shares && std::ranges::all_of(*shares, [&](const MixtureShare& share) { return among(allowed, share.name); });
}

}  // namespace

bool store(const TomlValue& value, const Allowed&, const std::filesystem::path&, bool& field) {
  const bool* flag = std::get_if<bool>(&value);
  field = flag != nullptr ? *flag : field;
  return flag != nullptr;
}

bool store(const TomlValue& value, const Allowed& allowed, const std::filesystem::path&, int64_t& field) {
  const int64_t* number = std::get_if<int64_t>(&value);
  if (number == nullptr || !within(allowed, static_cast<double>(*number))) {
    return false;
  }
  field = *number;
  return true;
}

bool store(const TomlValue& value, const Allowed& allowed, const std::filesystem::path& base, uint64_t& field) {
  int64_t number = 0;
  if (!store(value, allowed, base, number) || number < 0) {
    return false;
  }
  field = static_cast<uint64_t>(number);
  return true;
}

bool store(const TomlValue& value, const Allowed& allowed, const std::filesystem::path&, double& field) {
  const int64_t* integer = std::get_if<int64_t>(&value);
  const double* decimal = std::get_if<double>(&value);
  if (integer == nullptr && decimal == nullptr) {
    return false;
  }
  const double number = integer != nullptr ? static_cast<double>(*integer) : *decimal;
  if (!within(allowed, number)) {
    return false;
  }
  field = number + 0.0;  // -0.0 becomes 0.0, so that equal values have one identity
  return true;
}

bool store(const TomlValue& value, const Allowed& allowed, const std::filesystem::path&, std::string& field) {
  const TomlList* list = std::get_if<TomlList>(&value);
  const std::string* word = std::get_if<std::string>(&value);
  if (list != nullptr && allowed.list) return store(joined(*list), allowed, {}, field);
  if (word == nullptr || !fits(allowed, *word)) {
    return false;
  }
  field = *word;
  return true;
}

bool store(const TomlValue& value, const Allowed&, const std::filesystem::path& base, std::filesystem::path& field) {
  const std::string* text = std::get_if<std::string>(&value);
  if (text == nullptr) {
    return false;
  }
  field = job_path(*text, base);
  return true;
}

std::string shown(const TomlValue& value) {
  if (const auto* other = std::get_if<OtherToml>(&value)) {
    return other->what;
  }
  if (const auto* list = std::get_if<TomlList>(&value)) {
    return list->empty() ? "an empty array" : "an array";
  }
  if (const auto* word = std::get_if<std::string>(&value)) {
    return std::string("'").append(printable(*word)).append("'");
  }
  if (const auto* flag = std::get_if<bool>(&value)) {
    return toml_text(*flag);
  }
  if (const auto* integer = std::get_if<int64_t>(&value)) {
    return toml_text(*integer);
  }
  return toml_text(std::get<double>(value));
}

}  // namespace eidolon
