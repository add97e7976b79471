#include "stages/inspect_export.h"

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "base/bounded_json.h"
#include "base/error.h"
#include "base/one_line.h"
#include "exporting/export_folder.h"
#include "reporting/result.h"
#include "storage/atomic_file.h"

namespace eidolon {
namespace {

using nlohmann::ordered_json;

/// Of each kind of storage, how many weights have it: "49 int8, 1 float".
std::string storage_counts(const ordered_json& nodes) {
  std::map<std::string, int> counts;
  for (const ordered_json& node : nodes) {
    if (node.is_object() && node.value("role", "") == "weight") ++counts[node.value("storage", "float")];
  }
  std::string text;
  for (const auto& [storage, count] : counts) text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + storage;
  return text;
}

std::string manifest_text(const ordered_json& manifest) {
  std::string text = "exported student, every file as it was written\n";
  text += "  recipe = " + manifest.value("recipe", "") +
          "\n  weights = " + storage_counts(manifest.value("nodes", ordered_json::array())) + "\n";
  for (const ordered_json& model : manifest.value("models", ordered_json::array())) {
    text += "  " + model.value("file", "") + ": input " + model.value("input", "") + ", opset " +
            json_text(model.value("opset", ordered_json())) + "\n";
  }
  ordered_json rest = manifest;
  for (const char* shown : {"recipe", "nodes", "models"}) rest.erase(shown);
  return text + fields_text(rest);
}

}  // namespace

std::string fields_text(const ordered_json& object) {
  std::ostringstream text;
  for (const auto& [name, value] : object.items()) {
    text << "  " << one_line(name) << " = ";
    if (value.is_structured() && value.size() > 4) {
      text << "(" << value.size() << " entries)\n";
    } else {
      text << json_text(value) << "\n";
    }
  }
  return text.str();
}

std::string about_export(const std::filesystem::path& folder) {
  const std::filesystem::path manifest_file = folder / "manifest.json";
  const std::string damaged = damaged_file_of(folder);
  if (!damaged.empty())
    throw BadInput(folder.string() + "/" + damaged + " is missing, new, or not as it was written; export it anew");
  const ordered_json manifest = bounded_json<ordered_json>(read_text(manifest_file));
  if (!manifest.is_object() || manifest.value("format", ordered_json()) != "eidolon student")
    throw BadInput(folder.string() +
                   " has SHA256SUMS and a manifest.json, but not of this program; give a folder that `eidolon export` wrote");
  try {
    return manifest_text(manifest);
  } catch (const ordered_json::exception& error) {
    throw BadInput(manifest_file.string() + " has other fields than this program writes (" + error.what() +
                   "); export it anew");
  }
}

}  // namespace eidolon
