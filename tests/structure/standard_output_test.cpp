// One function alone writes to standard output, since only there it is checked that a result arrives (reporting/result.h).
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include "tests/places.h"

namespace {

namespace fs = std::filesystem;

bool writes_to_standard_output(const std::string& line) {
  static const std::regex writer(
      R"((^|[^\w])((cout|stdout|STDOUT_FILENO)([^\w]|$)|(print|println|printf|vprintf|puts|putchar)\s*\())");
  return std::regex_search(line, writer);
}

std::vector<std::string> writers_below(const fs::path& root) {
  std::vector<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file() || entry.path().stem() == "CMakeLists") continue;
    std::ifstream file(entry.path());
    std::string line;
    for (int number = 1; std::getline(file, line); ++number) {
      const std::string code = line.substr(0, line.find("//"));
      if (code.size() < 1000 && writes_to_standard_output(code) && !code.starts_with("#include"))
        found.push_back(fs::relative(entry.path(), root).string() + ":" + std::to_string(number));
    }
  }
  return found;
}

TEST(StandardOutput, OneFileAloneWritesToIt) {
  int there = 0;
  for (const std::string& place : writers_below(eidolon::testing::source_folder() / "src")) {
    const bool allowed = place.starts_with("reporting/result.cpp:");
    there += allowed ? 1 : 0;
    EXPECT_TRUE(allowed) << "src/" << place << " writes to standard output; use print_result()";
  }
  EXPECT_GT(there, 0) << "the sources were not found";
}

TEST(StandardOutput, EveryWayToWriteToItIsFound) {
  for (const char* line : {"std::cout << x;", "  printf(\"x\");", "std::printf(\"x\");", "fputs(text, stdout);", "puts(\"\");",
                           "write(STDOUT_FILENO, a, b);"}) {
    EXPECT_TRUE(writes_to_standard_output(line)) << line;
  }
  for (const char* line : {"std::snprintf(line, 8, \"x\");", "std::fprintf(stderr, \"x\");",
                           "__attribute__((format(printf, 1, 2)))", "print_result(text);"}) {
    EXPECT_FALSE(writes_to_standard_output(line)) << line;
  }
}

}  // namespace
