#include "job/toml_sections.h"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <utility>

#include "base/error.h"
#include "job/nearest.h"

namespace {

[[noreturn]] void refuse_malformed() {
  throw std::invalid_argument("a malformed key or table header");
}

}  // namespace

// toml++ 3.3 meets malformed headers such as "[[[a]]]" with an assertion (mended upstream by its pull request 301). Here its
// assertions throw, in every kind of build, so that no text can end the program.
#define TOML_ASSERT(condition) ((condition) ? void() : refuse_malformed())
#pragma push_macro("NDEBUG")
#undef NDEBUG
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

namespace eidolon {
namespace {

// A job has about 2 KiB and some hundred dots. The library recurses once per dot of a key, so dots are what could exhaust the
// stack (it bounds brackets itself).
constexpr std::size_t largest_text = 65'536;
constexpr std::ptrdiff_t most_dots = 2048;

std::string what_is(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    default:
      return "a date or time";
  }
}

/// Nothing unless the node is an array of strings.
std::optional<TomlList> texts_of(const toml::node& node) {
  const toml::array* array = node.as_array();
  if (array == nullptr) return std::nullopt;
  TomlList texts;
  for (const toml::node& entry : *array) {
    if (!entry.is_string()) return std::nullopt;
    texts.push_back(entry.as_string()->get());
  }
  return texts;
}

TomlValue value_of(const toml::node& node) {
  if (const auto* value = node.as_boolean()) {
    return value->get();
  }
  if (const auto* value = node.as_integer()) {
    return value->get();
  }
  if (const auto* value = node.as_floating_point()) {
    return value->get();
  }
  if (const auto* value = node.as_string()) {
    return value->get();
  }
  if (auto texts = texts_of(node)) return std::move(*texts);
  return OtherToml{what_is(node)};
}

/// Appends the table as a section, and each table in it as a section of its own: "synthesis", "synthesis.sardfq".
void append_sections(std::vector<TomlSection>& sections, const std::string& name, uint32_t line, const toml::table& table) {
  TomlSection section{name, line, {}};
  for (const auto& [key, node] : table) {
    const uint32_t at = key.source().begin.line;
    if (const toml::table* inner = node.as_table()) {
      append_sections(sections, (name.empty() ? "" : name + ".") + std::string(key.str()), at, *inner);
    } else {
      section.entries.push_back({std::string(key.str()), value_of(node), at});
    }
  }
  std::ranges::stable_sort(section.entries, {}, &TomlEntry::line);  // the library sorts by name
  sections.push_back(std::move(section));
}

toml::table parsed(std::string_view text, const std::string& name) {
  if (text.size() > largest_text || std::ranges::count(text, '.') > most_dots) {
    throw BadInput(name + ": is larger than any job (64 KiB, 2048 dots); is it a job file?");
  }
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    throw BadInput(name + ":" + std::to_string(error.source().begin.line) + ": not TOML: " + printable(error.description()) +
                   "; write it as in images = 256 or method = \"views\"");
  } catch (const std::invalid_argument& error) {
    throw BadInput(name + ": not TOML: " + error.what() + "; write it as in [synthesis] or images = 256");
  }
}

}  // namespace

std::vector<TomlSection> toml_sections(std::string_view text, const std::string& name) {
  std::vector<TomlSection> sections;
  append_sections(sections, "", 0, parsed(text, name));
  // What stands outside any section comes first, then in the order of the lines.
  std::ranges::stable_sort(sections, {}, &TomlSection::line);
  std::erase_if(sections, [](const TomlSection& section) { return section.name.empty() && section.entries.empty(); });
  return sections;
}

TomlValue toml_value_or_word(std::string_view text) {
  try {
    const toml::table document = parsed("value = " + std::string(text), "value");
    if (document.size() == 1) {  // more: the text contains line breaks
      return value_of(document.begin()->second);
    }
  } catch (const BadInput&) {
    // a bare word, such as gaussian or /data/models
  }
  return std::string(text);
}

}  // namespace eidolon
