#include "model/loading/fields/readers.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"

namespace eidolon::fields {

using nlohmann::json;

namespace {

constexpr int64_t largest_count = 1 << 24;  // far above any model, and safe to multiply

}  // namespace

int64_t whole(const json& value) {
  if (!value.is_number_integer()) throw BadInput("is not a whole number");
  const bool fits = value.is_number_unsigned() ? value.get<uint64_t>() <= static_cast<uint64_t>(largest_count) : false;
  if (!fits || value.get<int64_t>() < 1) throw BadInput("is not between 1 and " + std::to_string(largest_count));
  return value.get<int64_t>();
}

int64_t whole_or_none(const json& value) {
  return value == json(0) ? 0 : whole(value);
}

double number(const json& value) {
  if (!value.is_number() || !std::isfinite(value.get<double>())) throw BadInput("is not a number");
  return value.get<double>();
}

double positive(const json& value) {
  if (!(number(value) > 0)) throw BadInput("is not positive");
  return value.get<double>();
}

bool flag(const json& value) {
  if (!value.is_boolean()) throw BadInput("is not true or false");
  return value.get<bool>();
}

std::string word(const json& value) {
  if (!value.is_string()) throw BadInput("is not a text");
  return value.get<std::string>();
}

/// A side, or [height, width] of a square.
int64_t square(const json& value) {
  if (!value.is_array()) return whole(value);
  if (value.size() != 2) throw BadInput("is not a side or a pair of sides");
  if (whole(value[0]) != whole(value[1])) throw BadInput("is not a square, and only squares are built");
  return whole(value[0]);
}

std::vector<double> numbers(const json& value) {
  if (!value.is_array() || value.empty()) throw BadInput("is not a list of numbers");
  std::vector<double> result;
  for (const json& entry : value) result.push_back(number(entry));
  return result;
}

/// One number for all channels is allowed.
std::vector<double> per_channel(const json& value) {
  return value.is_number() ? std::vector<double>{number(value)} : numbers(value);
}

std::vector<double> all_positive(std::vector<double> values) {
  if (std::ranges::any_of(values, [](double value) { return !(value > 0); })) throw BadInput("is not positive everywhere");
  return values;
}

/// Names by class index, of a list or of an object {"0": name}; empty unless there is a text for each of 0 ... n - 1.
std::vector<std::string> class_names(const json& labels) {
  if (!labels.is_array() && !labels.is_object()) throw BadInput("is neither a list nor an object");
  std::vector<std::string> names;
  for (size_t index = 0; index < labels.size(); ++index) {
    const json name = labels.is_array() ? labels[index] : labels.value(std::to_string(index), json());
    if (!name.is_string()) return {};
    names.push_back(name.get<std::string>());
  }
  return names;
}

std::string activation(const json& value) {
  // In the libraries' words and in ours.
  static const std::array<std::pair<const char*, const char*>, 13> names{{{"gelu", "gelu"},
                                                                          {"gelu_python", "gelu"},
                                                                          {"gelu_tanh", "gelu_tanh"},
                                                                          {"gelu_pytorch_tanh", "gelu_tanh"},
                                                                          {"gelu_new", "gelu_tanh"},
                                                                          {"gelu_fast", "gelu_tanh"},
                                                                          {"quick_gelu", "quick_gelu"},
                                                                          {"quickgelu", "quick_gelu"},
                                                                          {"silu", "silu"},
                                                                          {"swish", "silu"},
                                                                          {"relu", "relu"},
                                                                          {"relu6", "relu6"},
                                                                          {"SiLU", "silu"}}};
  const std::string name = word(value);
  for (const auto& [library, own] : names) {
    if (name == library) return own;
  }
  throw BadInput("is not built; gelu, gelu_tanh, quick_gelu, silu, relu and relu6 are");
}

void state(Reading& reading, const char* what, int64_t value, const std::string& field) {
  reading.config.stated.push_back({what, value, field});
}

void state(Reading& reading, const char* what, bool value, const std::string& field) {
  state(reading, what, int64_t{value}, field);
}

bool state_list(Reading& reading, const char* what, const json& value, const char* field) {
  if (!value.is_array()) return false;
  std::vector<int64_t> values;
  for (const json& entry : value) values.push_back(whole(entry));
  reading.config.stated_lists.push_back({what, values, field});
  return true;
}

}  // namespace eidolon::fields
