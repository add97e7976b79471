// Reading the reference pictures of tests/data/evaluation (made by scripts/references/make_image_references.py).
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "tests/places.h"

namespace eidolon {

inline std::filesystem::path reference_folder() {
  return testing::test_data() / "evaluation";
}

/// The cases of one kind ("decode", "resize", "crop"), each a line of words; the last is the expected picture.
inline std::vector<std::vector<std::string>> reference_cases(const std::string& kind, const char* list = "index.txt") {
  std::ifstream index(reference_folder() / list);
  std::vector<std::vector<std::string>> cases;
  for (std::string line; std::getline(index, line);) {
    std::istringstream words(line);
    std::vector<std::string> found{std::istream_iterator<std::string>(words), {}};
    if (!found.empty() && found[0] == kind) {
      cases.push_back(found);
    }
  }
  return cases;
}

/// A binary PPM or PGM, the plainest of formats, so that no decoder under test is needed: uint8 H x W x (3 or 1).
inline Tensor read_netpbm(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string magic;
  int64_t width = 0, height = 0, largest = 0;
  file >> magic >> width >> height >> largest;
  file.get();
  Tensor picture = at::empty({height, width, magic == "P6" ? 3 : 1}, at::kByte);
  if (!file.read(reinterpret_cast<char*>(picture.mutable_data_ptr<uint8_t>()), picture.numel()) || largest != 255) {
    throw std::runtime_error("cannot read " + path.string());
  }
  return picture;
}

inline std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

/// A folder of its own, gone with the object.
struct TemporaryFolder {
  std::filesystem::path path;

  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "eidolon-evaluation-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) {
      throw std::runtime_error("cannot make " + name);
    }
    path = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
};

}  // namespace eidolon
