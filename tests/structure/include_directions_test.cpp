// The folders of src/ depend on each other in one direction: every #include "folder/..." is compared with the allowed edges.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "tests/places.h"

namespace {

namespace fs = std::filesystem;
using Edges = std::map<std::string, std::set<std::string>>;

/// What each folder may include besides itself. stages/ and main.cpp see all.
const Edges allowed{
    {"base", {}},
    {"numerics", {"base"}},
    {"procedural", {"base", "numerics"}},
    {"storage", {"base"}},
    {"job", {"base", "storage"}},
    {"cluster", {"base", "storage"}},
    {"model", {"base", "numerics", "storage", "cluster"}},
    {"reporting", {"base", "storage"}},
    {"quantization", {"base", "numerics", "model", "job"}},
    {"synthesis", {"base", "numerics", "procedural", "job", "model", "storage"}},
    {"finetuning", {"base", "numerics", "procedural", "job", "cluster", "storage", "model", "quantization", "reporting"}},
    {"evaluation", {"base", "model"}},
    {"exporting", {"base", "storage", "model", "quantization"}},
};

/// The folder that a line includes from, if it includes one of ours.
std::optional<std::string> included_folder(const std::string& line) {
  static const std::regex include("^\\s*#\\s*include\\s*\"([^/\"]+)/[^\"]*\".*");
  std::smatch match;
  if (line.size() > 1000 || !std::regex_match(line, match, include)) return std::nullopt;
  return match.str(1);
}

bool may_include(const std::string& from, const std::string& to) {
  if (from == to || from == "stages") return true;
  const auto edges = allowed.find(from);
  return edges != allowed.end() && edges->second.contains(to);
}

struct Walk {
  std::vector<std::string> violations;
  int includes = 0;
};

Walk walk_sources(const fs::path& root) {
  Walk walk;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const fs::path relative = fs::relative(entry.path(), root);
    const std::string extension = entry.path().extension();
    const bool source = extension == ".h" || extension == ".cpp" || extension == ".cu" || extension == ".cuh";
    if (!entry.is_regular_file() || !source || !relative.has_parent_path()) continue;  // main.cpp may include everything
    const std::string from = *relative.begin();
    std::ifstream file(entry.path());
    std::string line;
    for (int number = 1; std::getline(file, line); ++number) {
      const auto to = included_folder(line);
      if (!to) continue;
      ++walk.includes;
      if (may_include(from, *to)) continue;
      walk.violations.push_back("src/" + relative.string() + ":" + std::to_string(number) + ": " + from + " -> " + *to);
    }
  }
  return walk;
}

TEST(IncludeDirections, EveryIncludeInSrcFollowsAnAllowedEdge) {
  const Walk walk = walk_sources(eidolon::testing::source_folder() / "src");
  EXPECT_GT(walk.includes, 100) << "the sources were not found";
  for (const std::string& violation : walk.violations) ADD_FAILURE() << violation << " is not an allowed edge";
}

TEST(IncludeDirections, AllowedEdgesHaveNoCycle) {
  Edges remaining = allowed;
  while (!remaining.empty()) {
    const size_t before = remaining.size();
    std::erase_if(remaining, [&](const auto& entry) {
      return std::none_of(entry.second.begin(), entry.second.end(), [&](const auto& to) { return remaining.contains(to); });
    });
    ASSERT_LT(remaining.size(), before) << "a cycle among the allowed edges";
  }
}

TEST(IncludeDirections, EveryFolderOfSrcHasItsEdges) {
  for (const auto& entry : fs::directory_iterator(eidolon::testing::source_folder() / "src")) {
    const std::string folder = entry.path().filename();
    if (entry.is_directory()) {
      EXPECT_TRUE(folder == "stages" || allowed.contains(folder)) << folder;
    }
  }
}

TEST(IncludeDirections, ForbiddenEdgesAreFoundWithFileAndLine) {
  const fs::path root = fs::temp_directory_path() / ("eidolon-include-directions-" + std::to_string(::getpid()));
  fs::create_directories(root / "storage");
  std::ofstream(root / "storage" / "wrong.h") << "#pragma once\n#include <map>\n#include \"base/error.h\"\n"
                                              << "  #  include \"synthesis/unit.h\"  // why\n// #include \"job/job.h\"\n";
  const Walk walk = walk_sources(root);
  fs::remove_all(root);
  EXPECT_EQ(walk.includes, 2);
  EXPECT_EQ(walk.violations, std::vector<std::string>{"src/storage/wrong.h:4: storage -> synthesis"});
}

}  // namespace
