#include <string>

#include "job/reader.h"
#include "job/schema.h"
#include "job/toml_text.h"

namespace eidolon {

std::string to_toml(const Job& job) {
  std::string text;
  std::string_view section;
  visit_keys(job, [&](const Key& key, const auto& field) {
    if (key.section != section) {
      text.append(section.empty() ? "[" : "\n[").append(key.section).append("]\n");
      section = key.section;
    }
    text.append(key.name).append(" = ").append(toml_text(field)).append("\n");
  });
  return text;
}

}  // namespace eidolon
