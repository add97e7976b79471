#include "job/unknown_names.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "job/nearest.h"
#include "job/schema.h"
#include "job/toml_text.h"

namespace eidolon {
namespace {

std::vector<std::string_view> known_sections() {
  std::vector<std::string_view> names;
  const Job job;
  visit_keys(job, [&](const Key& key, const auto&) {
    if (std::ranges::find(names, key.section) == names.end()) names.push_back(key.section);
  });
  return names;
}

bool is_section(const std::string& name) {
  const std::vector<std::string_view> sections = known_sections();
  return std::ranges::find(sections, name) != sections.end();
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

/// The key of a section and its groups that is called most like `name`: "images", "sardfq.crops".
std::string nearest_key(const std::string& section, const std::string& name) {
  std::string best;
  std::size_t least = 0;
  const Job job;
  visit_keys(job, [&](const Key& key, const auto&) {
    const std::string full = full_name(key);
    if (!full.starts_with(section + ".")) return;
    const std::size_t distance = edit_distance(name, key.name);
    if (!best.empty() && distance >= least) return;
    best = full.substr(section.size() + 1);
    least = distance;
  });
  return best;
}

/// Throws if `name` is a key, which is no table.
void refuse_table_of_key(const std::string& name) {
  const Job job;
  visit_keys(job, [&]<class Field>(const Key& key, const Field&) {
    if (full_name(key) == name) throw BadInput("'" + name + "' is a table, but must be " + accepted_text<Field>(key));
  });
}

}  // namespace

void refuse_outside_sections(const std::string& name) {
  if (is_section(name)) {
    throw BadInput("'" + name + "' is a section; write [" + name + "] and its keys below");
  }
  const std::string key = key_called(name);
  const std::string remedy =
      key.empty() ? "the first section is [" + std::string(known_sections().front()) + "]" : "nearest is '" + key + "'";
  throw BadInput("'" + printable(name) + "' stands outside any section; " + remedy);
}

void require_section(const std::string& name) {
  if (is_section(name)) return;
  refuse_table_of_key(name);
  throw BadInput("unknown section '" + printable(name) + "'; nearest is '" + std::string(nearest(name, known_sections())) +
                 "'");
}

void refuse_key(const std::string& section, const std::string& name) {
  const std::string full = section + "." + name;
  if (is_section(full)) throw BadInput("'" + full + "' is a section; write [" + full + "] and its keys below");
  const std::string elsewhere = key_called(name);
  const std::string meant = elsewhere.empty() ? nearest_key(section, name) : elsewhere;
  throw BadInput("unknown key '" + section + "." + printable(name) + "'; nearest is '" + meant + "'");
}

}  // namespace eidolon
