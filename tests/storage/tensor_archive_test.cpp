#include "storage/tensor_archive.h"

#include <sys/wait.h>

#include <ctime>
#include <fstream>

#include "storage/atomic_file.h"
#include "storage/sha256.h"
#include "tests/storage/expect_error.h"
#include "tests/storage/full_disk.h"
#include "tests/storage/temporary_folder.h"

namespace eidolon {
namespace {

using testing::TemporaryFolder;
using Names = std::vector<std::string>;

TensorArchive sample() {
  TensorArchive archive;
  archive.tensors["student/blocks.0.norm1.weight"] = at::arange(5, at::kFloat);
  archive.tensors["student/blocks.0.norm1.bias"] = -at::arange(5, at::kFloat);
  archive.tensors["optimizer/head.weight/step"] = at::full({}, 12, at::kLong);
  archive.tensors["images"] = at::arange(48).view({2, 2, 3, 4}).to(at::kByte);
  archive.attributes = {{"phase", "reconstruct/blocks.0"}, {"step", "12"}};
  return archive;
}

TEST(TensorArchive, ReadsBackTensorsInGroupsAndAttributes) {
  const TemporaryFolder folder;
  write_archive(folder / "a.h5", "eidolon checkpoint", sample());
  const TensorArchive read = read_archive(folder / "a.h5");
  EXPECT_EQ(read.attributes, sample().attributes);
  ASSERT_EQ(read.tensors.size(), 4);
  for (const auto& [name, tensor] : sample().tensors) EXPECT_TRUE(read.tensors.at(name).equal(tensor)) << name;
  EXPECT_EQ(folder.file_names(), Names{"a.h5"});
}

TEST(TensorArchive, ReadsOnlyWhatStartsWithThePrefix) {
  const TemporaryFolder folder;
  write_archive(folder / "a.h5", "title", sample());
  const TensorMap tensors = read_archive(folder / "a.h5", "student/").tensors;
  EXPECT_EQ(tensors.size(), 2);
  EXPECT_TRUE(tensors.contains("student/blocks.0.norm1.bias"));
  EXPECT_EQ(read_attributes(folder / "a.h5", /*verify=*/false), sample().attributes);
}

TEST(TensorArchive, KeepsAnEmptyArchive) {
  const TemporaryFolder folder;
  write_archive(folder / "a.h5", "title", {});
  EXPECT_EQ(verify_archive(folder / "a.h5"), ArchiveState::sound);
  EXPECT_TRUE(read_archive(folder / "a.h5").tensors.empty());
}

TEST(TensorArchive, StatesInItsSecondLineTheHashOfAllThatFollows) {
  const TemporaryFolder folder;
  write_archive(folder / "a.h5", "eidolon checkpoint", sample());
  const std::string bytes = read_text(folder / "a.h5");
  EXPECT_TRUE(bytes.starts_with("eidolon checkpoint\nsha256 " + sha256_hex(bytes.substr(512)) + "\n"));
  EXPECT_EQ(bytes.substr(512, 8), "\x89HDF\r\n\x1a\n");
}

TEST(TensorArchive, EqualContentsAreEqualBytesAtAnyTime) {
  const TemporaryFolder folder;
  write_archive(folder / "a.h5", "title", sample());
  for (const std::time_t start = std::time(nullptr); std::time(nullptr) <= start + 1;) usleep(50'000);  // HDF5 counts seconds
  write_archive(folder / "b.h5", "title", sample());
  EXPECT_EQ(read_text(folder / "a.h5"), read_text(folder / "b.h5"));
}

TEST(TensorArchive, EveryFlippedByteIsDamage) {
  const TemporaryFolder folder;
  const auto path = folder / "a.h5";
  write_archive(path, "title", {{{"a/b", at::arange(3)}}, {{"key", "value"}}});
  ASSERT_EQ(verify_archive(path), ArchiveState::sound);
  const std::string sound = read_text(path);
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  const auto put = [&](std::size_t at, char byte) { file.seekp(static_cast<std::streamoff>(at)).put(byte).flush(); };
  for (std::size_t at = 0; at < sound.size(); ++at) {
    put(at, static_cast<char>(sound[at] ^ (1 << at % 8)));
    ASSERT_EQ(verify_archive(path), ArchiveState::damaged) << "byte " << at;
    put(at, sound[at]);
  }
  EXPECT_EQ(verify_archive(path), ArchiveState::sound);
}

TEST(TensorArchive, EveryTruncationIsDamage) {
  const TemporaryFolder folder;
  const auto path = folder / "a.h5";
  write_archive(path, "title", sample());
  for (std::uintmax_t size = std::filesystem::file_size(path); size-- > 0;) {
    std::filesystem::resize_file(path, size);
    ASSERT_EQ(verify_archive(path), ArchiveState::damaged) << size;
  }
}

TEST(TensorArchive, DamageAndAbsenceAreToldApart) {
  const TemporaryFolder folder;
  EXPECT_EQ(verify_archive(folder / "a.h5"), ArchiveState::absent);
  EXPECT_EQ(verify_archive(folder.path()), ArchiveState::damaged);
  EXPECT_ERROR(Fault, "does not exist", read_archive(folder / "a.h5"));
  write_text_atomically(folder / "a.h5", "text");
  EXPECT_ERROR(Fault, "a.h5 is damaged; remove it and run again", read_archive(folder / "a.h5"));
  EXPECT_ERROR(Fault, "a.h5 is damaged; remove it and run again", read_attributes(folder / "a.h5"));
  EXPECT_ERROR(Fault, "a.h5: ", read_attributes(folder / "a.h5", /*verify=*/false));
}

TEST(TensorArchive, LeavesTheOldFileWhenTheDiskIsFull) {
  const TemporaryFolder folder;
  write_archive(folder / "a.h5", "title", sample());
  {
    const testing::FileSizeLimit limit(10'000);
    EXPECT_ERROR(Fault, "free some space", write_archive(folder / "a.h5", "title", {{{"big", at::zeros({100'000})}}, {}}));
    EXPECT_ERROR(Fault, "free some space", write_archive(folder / "b.h5", "title", {{{"big", at::zeros({100'000})}}, {}}));
  }
  EXPECT_EQ(folder.file_names(), Names{"a.h5"});
  EXPECT_EQ(verify_archive(folder / "a.h5"), ArchiveState::sound);
}

TEST(TensorArchive, SurvivesARealFullDisk) {
  const TemporaryFolder folder;
  const TensorArchive large{{{"big", at::zeros({20'000})}}, {}};
  const auto wrong = testing::on_small_disk(folder.path(), [&]() -> std::string {
    write_archive(folder / "small.h5", "title", sample());
    try {
      write_archive(folder / "large.h5", "title", large);
      return "writing on a full disk succeeded";
    } catch (const Fault& error) {
      if (std::string(error.what()).find("free some space") == std::string::npos) return error.what();
    }
    if (folder.file_names() != Names{"small.h5"}) return "something was left behind";
    return verify_archive(folder / "small.h5") == ArchiveState::sound ? "" : "the other file was damaged";
  });
  if (!wrong) GTEST_SKIP() << "this user may not mount a small file system";
  EXPECT_EQ(*wrong, "");
}

TEST(TensorArchive, ConcurrentProcessesMayWriteTheSameTarget) {
  const TemporaryFolder folder;
  std::vector<pid_t> writers;
  for (int i = 0; i < 3; ++i) {
    writers.push_back(fork());
    if (writers.back() != 0) continue;
    try {
      for (int round = 0; round < 10; ++round) write_archive(folder / "a.h5", "title", sample());
      _exit(0);
    } catch (...) {
      _exit(1);
    }
  }
  for (const pid_t writer : writers) {
    int status = -1;
    EXPECT_EQ(waitpid(writer, &status, 0), writer);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(verify_archive(folder / "a.h5"), ArchiveState::sound);
  EXPECT_EQ(folder.file_names(), Names{"a.h5"});
}

}  // namespace
}  // namespace eidolon
