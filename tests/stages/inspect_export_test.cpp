#include "stages/inspect_export.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "storage/atomic_file.h"
#include "storage/sha256.h"
#include "tests/storage/expect_error.h"
#include "tests/storage/temporary_folder.h"

namespace eidolon {
namespace {

using nlohmann::ordered_json;

/// An export folder that holds this manifest, with sums that fit, and `more` behind them.
std::string about(const std::string& manifest, const std::string& more = "") {
  const testing::TemporaryFolder folder;
  write_text_atomically(folder / "manifest.json", manifest);
  write_text_atomically(folder / "SHA256SUMS", sha256_hex(manifest) + "  manifest.json\n" + more);
  return about_export(folder.path());
}

const ordered_json sound{{"format", "eidolon student"},
                         {"recipe", "int8"},
                         {"models", {{{"file", "student.onnx"}, {"input", "images"}, {"opset", 17}}}},
                         {"nodes", {{{"role", "weight"}, {"storage", "int8"}}, {{"role", "input"}}}},
                         {"class_names", {"a", "b", "c", "d", "e"}}};

TEST(ExportInspection, SaysWhatTheManifestHolds) {
  EXPECT_EQ(about(sound.dump()),
            "exported student, every file as it was written\n  recipe = int8\n  weights = 1 int8\n"
            "  student.onnx: input images, opset 17\n  format = \"eidolon student\"\n  class_names = (5 entries)\n");
}

// SHA256SUMS proves nothing of who wrote the manifest.
TEST(ExportInspection, RefusesFieldsOfOtherTypesByName) {
  const std::vector<std::pair<std::string, std::string>> fields{
      {"recipe", "7"}, {"models", "[1]"}, {"models", R"([{"file": 7}])"}, {"nodes", R"([{"role": 7}])"}};
  for (const auto& [field, value] : fields) {
    ordered_json manifest = sound;
    manifest[field] = ordered_json::parse(value);
    EXPECT_ERROR(BadInput, "manifest.json has other fields than this program writes", about(manifest.dump()));
  }
  for (const char* manifest : {"7", "[]", "", "{\"format\": 7}", "{\"format\": [\"eidolon student\"]}"}) {
    EXPECT_ERROR(BadInput, "but not of this program", about(manifest));
  }
  std::string nested = "{\"format\":";
  nested.append(1'000'000, '[');
  EXPECT_ERROR(BadInput, "but not of this program", about(nested));
}

TEST(ExportInspection, NamesOutsideOfTheFolderAreNoFilesOfIt) {
  for (const std::string name : {"../manifest.json", "/etc/hostname", "./manifest.json"}) {
    std::string line(64, '0');
    line.append("  ").append(name).append("\n");
    EXPECT_ERROR(BadInput, "is missing, new, or not as it was written", about(sound.dump(), line));
  }
}

TEST(FieldsText, HasALineForEachFieldWhateverItsName) {
  EXPECT_EQ(fields_text({{"a\nb", 1}}), "  a?b = 1\n");
}

}  // namespace
}  // namespace eidolon
