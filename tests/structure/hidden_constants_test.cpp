// Numbers that are no keys of a job and yet decide the bits of images and students: every constexpr number of the folders that
// compute them, as it was when format_version was last raised. One that changes without it would give artefacts of equal
// identity and other bits.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "job/format_version.h"
#include "tests/places.h"

namespace {

namespace fs = std::filesystem;

const std::vector<std::string> folders{"numerics", "procedural", "model", "quantization", "synthesis", "finetuning"};

std::string text_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// "name = value" of the definitions of constexpr numbers and arrays of numbers in a C++ text, in their order.
std::vector<std::string> constants_in(std::string text) {
  text = std::regex_replace(text, std::regex("//[^\n]*"), "");
  text = std::regex_replace(text, std::regex("\\s+"), " ");
  const std::regex definition(
      "constexpr (?:double|float|int|int64_t|uint64_t|size_t|AdamSettings|std::array<(?:double|float|int|int64_t), \\d+>) "
      "(\\w+ ?[={][^;]*);");
  std::vector<std::string> found;
  for (std::sregex_iterator match(text.begin(), text.end(), definition), end; match != end; ++match)
    found.push_back((*match)[1]);
  return found;
}

/// "quantization/gram.h: rows_at_once = 4096", sorted.
std::set<std::string> constants_of_sources() {
  const fs::path sources = eidolon::testing::source_folder() / "src";
  std::set<std::string> lines;
  for (const std::string& folder : folders) {
    for (const auto& entry : fs::recursive_directory_iterator(sources / folder)) {
      const std::string extension = entry.path().extension();
      if (extension != ".h" && extension != ".cpp") continue;
      for (const std::string& constant : constants_in(text_of(entry.path()))) {
        lines.insert(fs::relative(entry.path(), sources).string() + ": " + constant);
      }
    }
  }
  return lines;
}

TEST(HiddenConstants, ChangeOnlyWithTheFormatVersion) {
  const fs::path kept = eidolon::testing::source_folder() / "tests" / "structure" / "hidden_constants.txt";
  std::ifstream file(kept);
  std::string version, line;
  std::getline(file, version);
  std::set<std::string> before;
  while (std::getline(file, line)) before.insert(line);
  const std::set<std::string> now = constants_of_sources();
  EXPECT_GT(now.size(), 30u) << "the sources were not found";

  const std::string remedy =
      "\nIf it changes the bits of images or students, raise format_version in src/job/format_version.h. Then write it into " +
      kept.string() + ", whose first line is the format_version";
  for (const std::string& constant : now) EXPECT_TRUE(before.contains(constant)) << "new: " << constant << remedy;
  for (const std::string& constant : before) EXPECT_TRUE(now.contains(constant)) << "gone: " << constant << remedy;
  EXPECT_EQ(version, "format_version " + std::to_string(eidolon::format_version)) << remedy;
}

TEST(HiddenConstants, AreFoundWhateverTheirForm) {
  const std::string text = R"(
// constexpr double commented = 1;
constexpr double a = 0.5, b = -1;  ///< both
inline constexpr int64_t c = int64_t{1} << 22;
constexpr std::array<double, 2> d{0.5,
                                  1.0};
constexpr const char* name = "no number";
constexpr double function(double x) { return x; }
if constexpr (true) {}
double e = 3;
constexpr AdamSettings adam{0.5, 0.9, 1e-8};
)";
  const std::vector<std::string> expected{"a = 0.5, b = -1", "c = int64_t{1} << 22", "d{0.5, 1.0}", "adam{0.5, 0.9, 1e-8}"};
  EXPECT_EQ(constants_in(text), expected);
}

}  // namespace
