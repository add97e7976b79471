#include "job/unknown_names.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "job/nearest.h"
#include "job/schema.h"

namespace eidolon {
namespace {

/// The names of the sections, or of the keys of one section.
std::vector<std::string_view> known_names(std::string_view section) {
  std::vector<std::string_view> names;
  const Job job;
  visit_keys(job, [&](const Key& key, const auto&) {
    const std::string_view name = section.empty() ? key.section : key.name;
    if ((section.empty() || key.section == section) && std::ranges::find(names, name) == names.end()) {
      names.push_back(name);
    }
  });
  return names;
}

/// The full name of the first key called `name`, in whichever section it is; empty if there is none.
std::string key_called(std::string_view name) {
  std::string found;
  const Job job;
  visit_keys(job, [&](const Key& key, const auto&) {
    if (found.empty() && key.name == name) {
      found = full_name(key);
    }
  });
  return found;
}

}  // namespace

void refuse_outside_sections(const std::string& name) {
  const std::vector<std::string_view> sections = known_names("");
  if (std::ranges::find(sections, name) != sections.end()) {
    throw BadInput("'" + name + "' is a section; write [" + name + "] and its keys below");
  }
  const std::string key = key_called(name);
  const std::string remedy =
      key.empty() ? "the first section is [" + std::string(sections.front()) + "]" : "nearest is '" + key + "'";
  throw BadInput("'" + printable(name) + "' stands outside any section; " + remedy);
}

void require_section(const std::string& name) {
  const std::vector<std::string_view> sections = known_names("");
  if (std::ranges::find(sections, name) == sections.end()) {
    throw BadInput("unknown section '" + printable(name) + "'; nearest is '" + std::string(nearest(name, sections)) + "'");
  }
}

void refuse_key(const std::string& section, const std::string& name) {
  const std::string elsewhere = key_called(name);
  const std::string meant = elsewhere.empty() ? std::string(nearest(name, known_names(section))) : elsewhere;
  throw BadInput("unknown key '" + section + "." + printable(name) + "'; nearest is '" + meant + "'");
}

}  // namespace eidolon
