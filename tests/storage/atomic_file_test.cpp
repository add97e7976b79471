#include "storage/atomic_file.h"

#include <sys/wait.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "base/pulse.h"
#include "storage/posix_file.h"
#include "tests/storage/expect_error.h"
#include "tests/storage/full_disk.h"
#include "tests/storage/temporary_folder.h"

namespace eidolon {
namespace {

using testing::TemporaryFolder;
using Names = std::vector<std::string>;

TEST(AtomicFile, LeavesTheTargetAndNothingElse) {
  const TemporaryFolder folder;
  const std::string text("line\nand \0 zero", 15);
  write_text_atomically(folder / "a.txt", "old");
  write_text_atomically(folder / "a.txt", text);
  EXPECT_EQ(read_text(folder / "a.txt"), text);
  EXPECT_EQ(folder.file_names(), Names{"a.txt"});
}

TEST(AtomicFile, WritesBesideTheTargetUnderANameOfThisProcess) {
  const TemporaryFolder folder;
  write_atomically(folder / "a.txt", [&](const std::filesystem::path& part) {
    EXPECT_EQ(part.parent_path(), folder.path());
    EXPECT_TRUE(part.filename().string().starts_with("a.txt."));
    EXPECT_TRUE(part.string().ends_with("." + std::to_string(getpid()) + ".part"));
    EXPECT_FALSE(std::filesystem::exists(folder / "a.txt"));
    PosixFile::create(part).write("new");
  });
  EXPECT_EQ(read_text(folder / "a.txt"), "new");
}

TEST(AtomicFile, AcceptsATargetWithoutAFolder) {
  const TemporaryFolder folder;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  EXPECT_NO_THROW(write_text_atomically("plain.txt", "text"));
  std::filesystem::current_path(before);
  EXPECT_EQ(read_text(folder / "plain.txt"), "text");
}

TEST(AtomicFile, KeepsTheOldFileWhenTheWriterFails) {
  const TemporaryFolder folder;
  write_text_atomically(folder / "a.txt", "old");
  const auto fail = [](const std::filesystem::path& part) {
    PosixFile::create(part).write("half");
    throw Fault("writer failed");
  };
  EXPECT_ERROR(Fault, "writer failed", write_atomically(folder / "a.txt", fail));
  EXPECT_EQ(read_text(folder / "a.txt"), "old");
  EXPECT_EQ(folder.file_names(), Names{"a.txt"});
}

TEST(AtomicFile, RefusesAWriterThatWroteNothing) {
  const TemporaryFolder folder;
  EXPECT_ERROR(Fault, "a.txt", write_atomically(folder / "a.txt", [](const std::filesystem::path&) {}));
  EXPECT_TRUE(folder.file_names().empty());
}

TEST(AtomicFile, NamesThePathAndTheCause) {
  const TemporaryFolder folder;
  EXPECT_ERROR(Fault, "missing/a.txt", write_text_atomically(folder / "missing/a.txt", "text"));
  EXPECT_ERROR(Fault, "No such file", read_text(folder / "absent"));
  EXPECT_ERROR(Fault, "Is a directory", read_text(folder.path()));
  std::filesystem::create_directories(folder / "taken/inside");
  EXPECT_ERROR(Fault, "rename", write_text_atomically(folder / "taken", "text"));
  EXPECT_EQ(folder.file_names(), Names{"taken"});
}

TEST(AtomicFile, LeavesNothingWhenAFileMayNotGrow) {
  const TemporaryFolder folder;
  write_text_atomically(folder / "a.txt", "old");
  {
    const testing::FileSizeLimit limit(1000);
    EXPECT_ERROR(Fault, "free some space", write_text_atomically(folder / "a.txt", std::string(5000, 'x')));
  }
  EXPECT_EQ(read_text(folder / "a.txt"), "old");
  EXPECT_EQ(folder.file_names(), Names{"a.txt"});
}

TEST(AtomicFile, LeavesNothingOnAFullDiskAndWorksAgainLater) {
  const TemporaryFolder folder;
  const auto wrong = testing::on_small_disk(folder.path(), [&]() -> std::string {
    write_text_atomically(folder / "first", std::string(40'000, 'x'));
    try {
      write_text_atomically(folder / "second", std::string(40'000, 'y'));
      return "writing on a full disk succeeded";
    } catch (const Fault& error) {
      if (std::string(error.what()).find("No space left on device; free some space") == std::string::npos) return error.what();
    }
    if (folder.file_names() != Names{"first"}) return "something was left behind";
    std::filesystem::remove(folder / "first");
    write_text_atomically(folder / "second", std::string(40'000, 'y'));
    return "";
  });
  if (!wrong) GTEST_SKIP() << "this user may not mount a small file system";
  EXPECT_EQ(*wrong, "");
}

TEST(AtomicFile, ConcurrentProcessesNeverMixTheirBytes) {
  const TemporaryFolder folder;
  const auto target = folder / "shared";
  const std::size_t size = 200'000;
  std::vector<pid_t> writers;
  for (const char letter : {'a', 'b', 'c'}) {
    writers.push_back(fork());
    if (writers.back() != 0) continue;
    try {
      for (int i = 0; i < 20; ++i) write_text_atomically(target, std::string(size, letter));
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
  const std::string text = read_text(target);
  EXPECT_EQ(text, std::string(size, text.at(0)));
  EXPECT_EQ(folder.file_names(), Names{"shared"});
}

TEST(ExclusiveFile, IsMadeOnceAndLeavesTheFirstBytes) {
  const TemporaryFolder folder;
  EXPECT_TRUE(create_exclusively(folder / "a.json", "first"));
  EXPECT_FALSE(create_exclusively(folder / "a.json", "second"));
  EXPECT_EQ(read_text(folder / "a.json"), "first");
  EXPECT_EQ(folder.file_names(), Names{"a.json"}) << "no part file is left";
  EXPECT_ERROR(Fault, "b.json", create_exclusively(folder / "absent" / "b.json", "text"));
}

TEST(ExclusiveFile, LeavesNothingWhenAFileMayNotGrow) {
  const TemporaryFolder folder;
  {
    const testing::FileSizeLimit limit(1000);
    EXPECT_ERROR(Fault, "free some space", create_exclusively(folder / "a.json", std::string(5000, 'x')));
  }
  EXPECT_EQ(folder.file_names(), Names{});
  EXPECT_TRUE(create_exclusively(folder / "a.json", "text"));
}

TEST(ExclusiveFile, LeavesNothingOnAFullDiskAndWorksAgainLater) {
  const TemporaryFolder folder;
  const auto wrong = testing::on_small_disk(folder.path(), [&]() -> std::string {
    write_text_atomically(folder / "first", std::string(60'000, 'x'));
    try {
      create_exclusively(folder / "second", std::string(20'000, 'y'));
      return "writing on a full disk succeeded";
    } catch (const Fault& error) {
      if (std::string(error.what()).find("No space left on device; free some space") == std::string::npos) return error.what();
    }
    if (folder.file_names() != Names{"first"}) return "something was left behind";
    std::filesystem::remove(folder / "first");
    return create_exclusively(folder / "second", std::string(20'000, 'y')) ? "" : "the name is taken";
  });
  if (!wrong) GTEST_SKIP() << "this user may not mount a small file system";
  EXPECT_EQ(*wrong, "");
}

TEST(ExclusiveFile, OfManyProcessesThatTryOneSucceeds) {
  const TemporaryFolder folder;
  constexpr int processes = 8, rounds = 50;
  for (int process = 0; process < processes; ++process) {
    if (fork() == 0) {
      for (int round = 0; round < rounds; ++round) {
        const std::string name = std::to_string(round);
        if (create_exclusively(folder / name, std::to_string(process)))
          PosixFile::create(folder / (name + ".won-by-" + std::to_string(process)));
      }
      _exit(0);
    }
  }
  for (int process = 0; process < processes; ++process) {
    int status = 0;
    ASSERT_GT(wait(&status), 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(folder.file_names().size(), static_cast<size_t>(2 * rounds));
  for (int round = 0; round < rounds; ++round) {
    const std::string name = std::to_string(round);
    EXPECT_TRUE(std::filesystem::exists(folder / (name + ".won-by-" + read_text(folder / name)))) << name;
  }
}

TEST(LateFile, IsWaitedForWithSignsOfLife) {
  const TemporaryFolder folder;
  const int64_t before = pulses();
  std::thread writer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    std::ofstream(folder / "late");
  });
  EXPECT_TRUE(await_file(folder / "late", 30));
  writer.join();
  EXPECT_GT(pulses(), before);
}

TEST(LateFile, ThatNeverComesIsGivenUp) {
  const TemporaryFolder folder;
  EXPECT_FALSE(await_file(folder / "never", 0.3));
  EXPECT_FALSE(await_file(folder / "never", 0));
  EXPECT_FALSE(await_file(folder / "no folder" / "never", 0.3));
}

}  // namespace
}  // namespace eidolon
