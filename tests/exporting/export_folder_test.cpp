#include "exporting/export_folder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "base/error.h"
#include "storage/atomic_file.h"
#include "storage/sha256.h"

namespace eidolon {
namespace {

namespace fs = std::filesystem;

class ExportFolder : public testing::Test {
 protected:
  void SetUp() override {
    folder = fs::temp_directory_path() / ("eidolon-export-folder-" + std::to_string(getpid()));
    fs::remove_all(folder);
  }
  void TearDown() override { fs::remove_all(folder); }

  int entries() const {
    int count = 0;
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder)) ++count;
    return count;
  }

  fs::path folder;
};

TEST_F(ExportFolder, IsCompleteWithTheSumsOfItsFiles) {
  write_folder(folder / "onnx", [](const fs::path& part) {
    write_text_atomically(part / "b.txt", "two");
    write_text_atomically(part / "a.txt", "one");
  });
  EXPECT_EQ(read_text(folder / "onnx" / "SHA256SUMS"), sha256_hex("one") + "  a.txt\n" + sha256_hex("two") + "  b.txt\n");
  EXPECT_EQ(entries(), 1) << "nothing else is left beside it";
}

TEST_F(ExportFolder, TakesThePlaceOfAFormerOne) {
  for (const char* text : {"former", "new"})
    write_folder(folder / "onnx", [&](const fs::path& part) { write_text_atomically(part / "a.txt", text); });
  EXPECT_EQ(read_text(folder / "onnx" / "a.txt"), "new");
  EXPECT_EQ(entries(), 1);
}

TEST_F(ExportFolder, ThatFailsHalfwayLeavesTheFormerOneAlone) {
  write_folder(folder / "onnx", [](const fs::path& part) { write_text_atomically(part / "a.txt", "former"); });
  EXPECT_THROW(write_folder(folder / "onnx",
                            [](const fs::path& part) {
                              write_text_atomically(part / "a.txt", "half");
                              throw Fault("no space left");
                            }),
               Fault);
  EXPECT_EQ(read_text(folder / "onnx" / "a.txt"), "former");
  EXPECT_EQ(entries(), 1);
  EXPECT_THROW(write_folder(folder / "packed", [](const fs::path&) { throw Fault("no space left"); }), Fault);
  EXPECT_FALSE(fs::exists(folder / "packed"));
}

}  // namespace
}  // namespace eidolon
