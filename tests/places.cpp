#include "tests/places.h"

#include <cstdlib>

namespace eidolon::testing {

std::filesystem::path source_folder() {
  return EIDOLON_SOURCE_DIR;
}

std::filesystem::path test_data() {
  return source_folder() / "tests" / "data";
}

std::filesystem::path shared_data() {
  const char* given = std::getenv("EIDOLON_DATA");
  return given != nullptr ? std::filesystem::path(given) : source_folder().parent_path() / "shared";
}

}  // namespace eidolon::testing
