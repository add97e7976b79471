// JSON of files that may lie.
#pragma once

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

namespace eidolon {

/// How many objects and arrays of a JSON text lie within each other at most; of a text that is no JSON, up to its first error.
inline int nesting_of(std::string_view json) {
  int depth = 0, deepest = 0;
  bool in_text = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_text) {
      if (c == '\\') ++i;
      in_text = c != '"';
    } else if (c == '"') {
      in_text = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return deepest;
}

/// The parsed text. Discarded (is_discarded(), and of no other type) where it is no JSON, or nests deeper than 64 levels:
/// nlohmann copies, compares and prints by recursion, so that a file of brackets would exhaust the stack.
template <class Json = nlohmann::json>
Json bounded_json(std::string_view text) {
  constexpr int deepest = 64;
  if (nesting_of(text) > deepest) return Json(nlohmann::detail::value_t::discarded);
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

}  // namespace eidolon
