// The seams: only the families and what loads them know a family by name, and only the table of formats tells one number
// format from another. Everybody else asks the plan, or the format's own functions and flags. Few files name CUDA.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "tests/places.h"

namespace {

namespace fs = std::filesystem;

/// The code without comments, line breaks kept.
std::string code_of(const fs::path& file) {
  std::ifstream stream(file);
  std::stringstream text;
  text << stream.rdbuf();
  std::string code, all = text.str();
  for (size_t i = 0; i < all.size();) {
    if (all.compare(i, 2, "//") == 0) {
      i = all.find('\n', i);
    } else if (all.compare(i, 2, "/*") == 0) {
      i = all.find("*/", i) + 2;
    } else if (all[i] == '"') {
      size_t end = i + 1;
      while (end < all.size() && all[end] != '"') end += all[end] == '\\' ? 2 : 1;
      code += all.substr(i, end + 1 - i);
      i = end + 1;
    } else {
      code += all[i++];
    }
  }
  return code;
}

bool lies_in(const fs::path& relative, const std::vector<std::string>& places) {
  for (const std::string& place : places) {
    if (relative.string().starts_with(place)) return true;
  }
  return false;
}

struct Found {
  std::vector<std::string> places;
  int files = 0;
};

/// "src/stages/run.cpp:12: ..." of every line of code outside of `exempt` that the pattern matches.
Found find(const std::regex& pattern, const std::vector<std::string>& exempt) {
  Found found;
  const fs::path root = eidolon::testing::source_folder() / "src";
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const std::string extension = entry.path().extension();
    const fs::path relative = fs::relative(entry.path(), root);
    if ((extension != ".h" && extension != ".cpp") || lies_in(relative, exempt)) continue;
    ++found.files;
    std::istringstream lines(code_of(entry.path()));
    std::string line;
    for (int number = 1; std::getline(lines, line); ++number) {
      if (std::regex_search(line, pattern)) {
        found.places.push_back("src/" + relative.string() + ":" + std::to_string(number) + ": " + line);
      }
    }
  }
  return found;
}

TEST(Seams, NoCodeOutsideFamiliesAndLoadingNamesAFamily) {
  // "RepQ-ViT" and its like are methods.
  const std::regex family("(^|[^-\\w])(vit|deit|swin|resnet|mobilenet|efficientnet|dino|siglip)(_|\\b|[A-Z0-9])",
                          std::regex::icase);
  const Found found = find(family, {"model/families/", "model/loading/"});
  EXPECT_GT(found.files, 100) << "the sources were not found";
  for (const std::string& place : found.places) ADD_FAILURE() << place;
}

TEST(Seams, NoCodeOutsideTheTableOfFormatsSwitchesOnAFormat) {
  const std::regex comparison(
      "[=!]=\\s*&?formats::|formats::\\w+\\s*[=!]=|(format|format\\(\\))(->|\\.)name\\s*[=!]=|case\\s+formats::");
  for (const std::string& place : find(comparison, {"quantization/formats"}).places) ADD_FAILURE() << place;
}

TEST(Seams, FewFilesNameCudaAndTheCollectivesOnlyByNcclsHeader) {
  const std::regex cuda("c10::cuda|at::cuda|<(c10|ATen)/cuda/|<cuda_runtime|\\bcuda[A-Z]\\w*|<nccl");
  const std::vector<std::string> exempt{"cluster/nccl/", "cluster/launch/cuda_facts", "numerics/cuda_kernel",
                                        "numerics/device_graph"};
  for (const std::string& place : find(cuda, exempt).places) ADD_FAILURE() << place;
  const std::regex beyond_nccl("c10::cuda|at::cuda|<(c10|ATen)/cuda/|<cuda_runtime|\\bcuda[A-Z]\\w*\\(");
  for (const std::string& place : find(beyond_nccl, {"cluster/launch/", "numerics/", "cluster/nccl/cuda_stream.cpp"}).places)
    ADD_FAILURE() << place;
  EXPECT_FALSE(find(cuda, {"numerics/", "cluster/launch/"}).places.empty());
}

TEST(Seams, AreSeenWhereTheyAreCrossed) {
  EXPECT_FALSE(find(std::regex("(^|[^-\\w])vit(_|\\b)", std::regex::icase), {}).places.empty());
  EXPECT_FALSE(find(std::regex("formats::uniform"), {}).places.empty());
}

}  // namespace
