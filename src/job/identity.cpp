#include "job/identity.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/bounded_json.h"
#include "base/error.h"
#include "job/format_version.h"
#include "job/schema.h"
#include "job/used_keys.h"
#include "storage/sha256.h"

namespace eidolon {
namespace {

using nlohmann::json;

template <class Field>
json json_of(const Key&, const Field& field) {
  return field;
}

json json_of(const Key&, const std::filesystem::path& field) {
  return field.string();
}

template <class Value>
json json_of(const Key& key, const std::optional<Value>& field) {
  if (!field) {
    throw Fault("'" + full_name(key) + "' is still \"auto\", so the artefacts it decides have no identity yet");
  }
  return *field;
}

json::json_pointer place_of(const Key& key) {
  std::string path("/");
  path += full_name(key);
  std::ranges::replace(path, '.', '/');
  return json::json_pointer(path);
}

bool computes_on_cpu(const IdentityContext& context) {
  return context.device == "cpu";
}

/// {"synthesis": {"images": 64, "sardfq": {"crops": 4}}}: the keys that decide `artefact` and have an effect.
json keys_that_decide(const Job& job, Decides artefact) {
  json facts = json::object();
  visit_keys(job, [&](const Key& key, const auto& field) {
    if (key.decides == artefact && is_used(job, key)) {
      facts[place_of(key)] = json_of(key, field);
    }
  });
  return facts;
}

json parsed(const std::string& text) {
  const json value = bounded_json(text);
  return value.is_discarded() ? json(text) : value;
}

/// nlohmann's objects are sorted by key and its numbers are the shortest that read back, so the text is canonical.
std::string canonical(const json& facts) {
  return facts.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string value_text(const json& value) {
  return value.is_discarded() ? "absent" : value.dump(-1, ' ', false, json::error_handler_t::replace);
}

enum class Look { at_shared_keys, at_all_keys };

std::string difference(const std::string& name, const json& here, const json& there, Look look) {
  if (here == there) {
    return {};
  }
  if (!here.is_object() || !there.is_object()) {
    return name + " is " + value_text(here) + " here and " + value_text(there) + " there";
  }
  json keys = here;
  keys.update(there);
  const json absent(json::value_t::discarded);
  for (const auto& item : keys.items()) {
    const std::string& key = item.key();
    if (look == Look::at_shared_keys && !(here.contains(key) && there.contains(key))) continue;
    const std::string full = name.empty() ? key : name + "." + key;
    const std::string found =
        difference(full, here.contains(key) ? here[key] : absent, there.contains(key) ? there[key] : absent, look);
    if (!found.empty()) {
      return found;
    }
  }
  return {};
}

}  // namespace

std::string synthesis_facts(const Job& job, const IdentityContext& context) {
  if (!context.given.empty()) return context.given;
  json facts = keys_that_decide(job, Decides::images);
  facts["device"] = context.device;
  facts["format_version"] = format_version;
  facts["network"] = parsed(context.network);
  facts["preprocessing"] = parsed(context.preprocessing);
  facts["teacher_hash"] = context.teacher_hash;
  if (!context.generator.empty()) facts["generator"] = context.generator;
  if (!context.opponent.empty()) facts["opponent"] = context.opponent;
  if (computes_on_cpu(context)) facts["threads"] = context.threads;
  return canonical(facts);
}

std::string student_facts(const Job& job, const IdentityContext& context) {
  json facts = keys_that_decide(job, Decides::student);
  facts["synthesis_id"] = synthesis_id(job, context);
  return canonical(facts);
}

IdentityContext computed_as(const IdentityContext& context, const std::string& facts) {
  IdentityContext result = context;
  const json there = bounded_json(facts);
  if (!there.is_object()) return result;
  if (there.contains("generator") && there["generator"].is_string()) result.generator = there["generator"];
  if (!there.contains("device") || !there["device"].is_string()) return result;
  result.device = there["device"];
  if (computes_on_cpu(result) && there.contains("threads") && there["threads"].is_number_integer()) {
    result.threads = there["threads"];
  }
  return result;
}

std::string synthesis_id(const Job& job, const IdentityContext& context) {
  return sha256_hex(synthesis_facts(job, context));
}

std::string student_id(const Job& job, const IdentityContext& context) {
  return sha256_hex(student_facts(job, context));
}

std::string first_difference(const std::string& facts_here, const std::string& facts_there) {
  const json here = bounded_json(facts_here);
  const json there = bounded_json(facts_there);
  if (here.is_object() && there.is_object()) {
    const std::string version = "format_version";
    if (here.contains(version) && there.contains(version) && here[version] != there[version])
      return difference(version, here[version], there[version], Look::at_all_keys);
    // A key that switches others on or off tells more than those that are then absent.
    const std::string shared = difference("", here, there, Look::at_shared_keys);
    return shared.empty() ? difference("", here, there, Look::at_all_keys) : shared;
  }
  if (facts_here == facts_there) {
    return {};
  }
  return std::string("what is recorded ") + (here.is_object() ? "there" : "here") + " is no JSON object";
}

}  // namespace eidolon
