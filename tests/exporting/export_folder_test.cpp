#include "exporting/export_folder.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "base/error.h"
#include "base/pulse.h"
#include "storage/atomic_file.h"
#include "storage/posix_file.h"
#include "storage/sha256.h"

namespace eidolon {
namespace {

namespace fs = std::filesystem;

class ExportFolder : public ::testing::Test {
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

TEST_F(ExportFolder, ShowsSignsOfLifeWhileItIsHashedAndSynced) {
  const int64_t before = pulses();
  write_folder(folder / "onnx", [](const fs::path& part) {
    std::ofstream(part / "a.txt") << "one";
    std::ofstream(part / "b.txt") << "two";
  });
  EXPECT_GE(pulses() - before, 4) << "other ranks wait for the whole export in one collective";
}

/// An export of one file and a manifest.
void fill(const fs::path& part, const std::string& text) {
  write_text_atomically(part / "a.txt", text);
  write_text_atomically(part / "manifest.json", "{}");
}

void fill_folder(const fs::path& target, const std::string& text) {
  fs::create_directory(target);
  fill(target, text);
}

TEST_F(ExportFolder, TakesThePlaceOfAFormerOne) {
  for (const char* text : {"former", "new"}) write_folder(folder / "onnx", [&](const fs::path& part) { fill(part, text); });
  EXPECT_EQ(read_text(folder / "onnx" / "a.txt"), "new");
  EXPECT_EQ(entries(), 1);
}

TEST_F(ExportFolder, ThatFailsHalfwayLeavesTheFormerOneAlone) {
  write_folder(folder / "onnx", [](const fs::path& part) { fill(part, "former"); });
  const auto fails = [](const fs::path& part) {
    fill(part, "half");
    throw Fault("no space left");
  };
  EXPECT_THROW(write_folder(folder / "onnx", fails), Fault);
  EXPECT_EQ(read_text(folder / "onnx" / "a.txt"), "former");
  EXPECT_EQ(entries(), 1);
  EXPECT_THROW(write_folder(folder / "packed", fails), Fault);
  EXPECT_FALSE(fs::exists(folder / "packed"));
}

/// The number of a process that has ended.
std::string dead_process() {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  waitpid(child, nullptr, 0);
  return std::to_string(child);
}

TEST_F(ExportFolder, RemovesWhatKilledExportsOfThisHostLeftAndNothingElse) {
  fs::create_directories(folder);
  const std::string prefix = ".onnx." + host_name() + ".", dead = dead_process();
  fill_folder(folder / (prefix + dead + ".part"), "half");
  fill_folder(folder / (prefix + std::to_string(getppid()) + ".part"), "at work");
  fill_folder(folder / (".onnx.elsewhere." + dead + ".part"), "at work");
  fill_folder(folder / (".packed." + host_name() + "." + dead + ".part"), "of another export");
  write_folder(folder / "onnx", [](const fs::path& part) { fill(part, "new"); });
  EXPECT_EQ(read_text(folder / "onnx" / "a.txt"), "new");
  EXPECT_EQ(entries(), 4);
  EXPECT_FALSE(fs::exists(folder / (prefix + dead + ".part")));
}

TEST_F(ExportFolder, FindsAFormerOneWhoseReplacementWasKilled) {
  fs::create_directories(folder);
  fill_folder(folder / (".onnx." + host_name() + "." + dead_process() + ".former"), "former");
  const auto fails = [](const fs::path&) { throw Fault("no space left"); };
  EXPECT_THROW(write_folder(folder / "onnx", fails), Fault);
  EXPECT_EQ(read_text(folder / "onnx" / "a.txt"), "former");
  EXPECT_EQ(entries(), 1);
}

TEST_F(ExportFolder, NeverTakesThePlaceOfWhatIsNoExport) {
  fs::create_directories(folder / "onnx");
  write_text_atomically(folder / "onnx" / "notes.txt", "mine");
  write_text_atomically(folder / "packed", "a file");
  fs::create_directory_symlink(folder / "onnx", folder / "link");
  for (const char* name : {"onnx", "packed", "link"})
    EXPECT_THROW(write_folder(folder / name, [](const fs::path& part) { fill(part, "new"); }), BadInput) << name;
  EXPECT_EQ(read_text(folder / "onnx" / "notes.txt"), "mine");
  EXPECT_EQ(read_text(folder / "packed"), "a file");
}

TEST_F(ExportFolder, NamesWhatIsNotAsItWasWritten) {
  const fs::path target = folder / "onnx";
  write_folder(target, [](const fs::path& part) { fill(part, "text"); });
  EXPECT_EQ(damaged_file_of(target), "");
  write_text_atomically(target / "more.txt", "new");
  EXPECT_EQ(damaged_file_of(target), "more.txt");
  fs::remove(target / "more.txt");
  write_text_atomically(target / "a.txt", "other");
  EXPECT_EQ(damaged_file_of(target), "a.txt");
  fs::remove(target / "a.txt");
  EXPECT_EQ(damaged_file_of(target), "a.txt");
  write_text_atomically(target / "SHA256SUMS", "");
  EXPECT_EQ(damaged_file_of(target), "manifest.json") << "sums of nothing";
  const std::string no_name(300, 'a');
  write_text_atomically(target / "SHA256SUMS", "0 " + no_name + "\n");
  EXPECT_EQ(damaged_file_of(target), no_name);
}

}  // namespace
}  // namespace eidolon
