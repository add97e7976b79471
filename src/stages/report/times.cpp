// Seconds by launch, rank and stage, from log/<launch>/rank-0003.times.jsonl (stages/stage_times.h).
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <vector>

#include "stages/report/parts.h"

namespace eidolon::parts {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) entries.push_back(entry.path());
  std::ranges::sort(entries);
  return entries;
}

}  // namespace

ordered_json times(const RecordedRun& run) {
  ordered_json launches = ordered_json::array();
  for (const fs::path& folder : sorted_entries(run.run.root / "log")) {
    ordered_json entries = ordered_json::array();
    for (const fs::path& path : sorted_entries(folder)) {
      int rank = 0;
      if (std::sscanf(path.filename().c_str(), "rank-%d.times.jsonl", &rank) != 1 || path.extension() != ".jsonl") continue;
      std::ifstream file(path);
      for (std::string line; std::getline(file, line);) {
        const auto json = ordered_json::parse(line, nullptr, /*allow_exceptions=*/false);
        if (json.is_object() && json.contains("stage") && json.contains("seconds"))
          entries.push_back({{"rank", rank}, {"stage", json["stage"]}, {"seconds", json["seconds"]}});
      }
    }
    if (!entries.empty()) launches.push_back({{"launch", folder.filename().string()}, {"entries", entries}});
  }
  if (launches.empty()) throw BadInput("no times are on record; this run was made before they were written down");
  return {{"launches", launches}};
}

}  // namespace eidolon::parts
