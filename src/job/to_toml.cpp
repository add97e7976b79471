#include <functional>
#include <string>
#include <string_view>

#include "job/key_groups.h"
#include "job/reader.h"
#include "job/schema.h"
#include "job/toml_text.h"

namespace eidolon {
namespace {

std::string to_toml(const Job& job, const std::function<bool(const Key&)>& wanted) {
  std::string text;
  std::string_view section;
  visit_keys(job, [&](const Key& key, const auto& field) {
    if (!wanted(key)) {
      return;
    }
    if (key.section != section) {
      text.append(section.empty() ? "[" : "\n[").append(key.section).append("]\n");
      section = key.section;
    }
    text.append(key.name).append(" = ").append(toml_text(field)).append("\n");
  });
  return text;
}

}  // namespace

std::string to_toml(const Job& job) {
  return to_toml(job, [&](const Key& key) { return applies(job, key); });
}

std::string to_toml(const Job& job, Decides artefact) {
  return to_toml(job, [&](const Key& key) { return key.decides == artefact && applies(job, key); });
}

}  // namespace eidolon
