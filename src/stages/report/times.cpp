// Seconds by launch, rank and stage, from log/<launch>/rank-0003.times.jsonl (stages/stage_times.h).
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "reporting/metrics_log.h"
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

/// The rank in "rank-0003.times.jsonl"; nothing for any other name.
std::optional<int> rank_of(std::string_view name) {
  constexpr std::string_view begin = "rank-", end = ".times.jsonl";
  if (!name.starts_with(begin) || !name.ends_with(end) || name.size() <= begin.size() + end.size()) return std::nullopt;
  const std::string_view digits = name.substr(begin.size(), name.size() - begin.size() - end.size());
  int rank = 0;
  const auto [last, error] = std::from_chars(digits.data(), digits.data() + digits.size(), rank);
  return error == std::errc{} && last == digits.data() + digits.size() ? std::optional(rank) : std::nullopt;
}

}  // namespace

ordered_json times(const RecordedRun& run) {
  ordered_json launches = ordered_json::array();
  for (const fs::path& folder : sorted_entries(run.run.root / "log")) {
    ordered_json entries = ordered_json::array();
    for (const fs::path& path : sorted_entries(folder)) {
      const std::optional<int> rank = rank_of(path.filename().string());
      if (!rank) continue;
      for_metrics(path, [&](const ordered_json& line) {
        if (line.contains("seconds"))
          entries.push_back({{"rank", *rank}, {"stage", line["stage"]}, {"seconds", line["seconds"]}});
      });
    }
    if (!entries.empty()) launches.push_back({{"launch", folder.filename().string()}, {"entries", entries}});
  }
  if (launches.empty()) throw BadInput("no times are on record; this run was made before they were written down");
  return {{"launches", launches}};
}

}  // namespace eidolon::parts
