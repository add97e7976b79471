// The system calls of a write that must survive a power cut. This program's own fsync(), link() and gethostname() stand before
// the library's: they note what they are asked for, and fail when told to.
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "storage/atomic_file.h"
#include "storage/posix_file.h"
#include "tests/storage/expect_error.h"
#include "tests/storage/full_disk.h"
#include "tests/storage/temporary_folder.h"

namespace {

std::vector<std::string> calls;
int link_error = 0;
int fsync_error = 0;
const char* pretended_host = nullptr;

int fail(int code) {
  errno = code;
  return -1;
}

}  // namespace

extern "C" int fsync(int descriptor) {
  struct stat status {};
  calls.emplace_back(::fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode) ? "sync folder" : "sync file");
  return fsync_error != 0 ? fail(fsync_error) : static_cast<int>(::syscall(SYS_fsync, descriptor));
}

extern "C" int link(const char* from, const char* to) noexcept {
  calls.emplace_back("link");
  return link_error != 0 ? fail(link_error) : static_cast<int>(::syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0));
}

extern "C" int gethostname(char* name, size_t size) noexcept {
  if (pretended_host == nullptr) std::strncpy(name, "host", size);
  if (pretended_host != nullptr) std::strncpy(name, pretended_host, size);
  return 0;
}

namespace eidolon {
namespace {

using testing::TemporaryFolder;
using Names = std::vector<std::string>;

class DurableFile : public ::testing::Test {
 protected:
  void SetUp() override { calls.clear(); }
  void TearDown() override {
    link_error = fsync_error = 0;
    pretended_host = nullptr;
  }
  const TemporaryFolder folder;
};

TEST_F(DurableFile, IsOnDiskBeforeItHasItsNameAndTheNameBeforeTheCallReturns) {
  EXPECT_TRUE(create_exclusively(folder / "a.json", "text"));
  EXPECT_EQ(calls, (Names{"sync file", "link", "sync folder"}));
  calls.clear();
  write_text_atomically(folder / "a.json", "other");
  EXPECT_EQ(calls, (Names{"sync file", "sync folder"}));
}

TEST_F(DurableFile, ThatCannotBeSyncedIsAnErrorAndLeavesNothing) {
  fsync_error = EIO;
  EXPECT_ERROR(Fault, "cannot sync", create_exclusively(folder / "a.json", "text"));
  EXPECT_ERROR(Fault, "cannot sync", write_text_atomically(folder / "b.json", "text"));
  EXPECT_EQ(folder.file_names(), Names{});
}

TEST_F(DurableFile, IsExclusiveWithoutHardLinksToo) {
  link_error = EPERM;
  EXPECT_TRUE(create_exclusively(folder / "a.json", "first"));
  EXPECT_FALSE(create_exclusively(folder / "a.json", "second"));
  EXPECT_EQ(read_text(folder / "a.json"), "first");
  EXPECT_EQ(folder.file_names(), Names{"a.json"});
}

TEST_F(DurableFile, WithoutHardLinksAFailingWriteLeavesTheNameFree) {
  link_error = EOPNOTSUPP;
  {
    const testing::FileSizeLimit limit(1000);
    EXPECT_ERROR(Fault, "free some space", create_exclusively(folder / "a.json", std::string(5000, 'x')));
  }
  EXPECT_EQ(folder.file_names(), Names{});
  fsync_error = EIO;  // fails behind the creation of the name as well
  EXPECT_ERROR(Fault, "cannot sync", create_exclusively(folder / "a.json", "text"));
  EXPECT_EQ(folder.file_names(), Names{});
}

TEST_F(DurableFile, WhosePartWasTakenForALeftOverIsWrittenAgain) {
  int written = 0;
  write_atomically(folder / "a.txt", [&](const std::filesystem::path& part) {
    PosixFile::create(part).write("whole");
    if (++written == 1) remove_parts(folder.path(), "a.txt");  // by a launch that thought this one dead
  });
  EXPECT_EQ(written, 2);
  EXPECT_EQ(read_text(folder / "a.txt"), "whole");
  EXPECT_EQ(folder.file_names(), Names{"a.txt"});
}

TEST_F(DurableFile, IsWrittenOnAHostOfAnyName) {
  pretended_host = "n\xf6rd/1%";
  EXPECT_EQ(host_name(), "n%F6rd%2F1%25");
  write_atomically(folder / "a.txt", [&](const std::filesystem::path& part) {
    EXPECT_EQ(part.parent_path(), folder.path());
    PosixFile::create(part).write("text");
  });
  EXPECT_EQ(read_text(folder / "a.txt"), "text");
}

// A part file's name can be foretold, so somebody may have put a link there.
TEST_F(DurableFile, IsNotWrittenThroughALink) {
  write_text_atomically(folder / "elsewhere", "kept");
  std::string part("file.");
  part.append(host_name()).append(".").append(std::to_string(::getpid())).append(".part");
  std::filesystem::create_symlink(folder / "elsewhere", folder / part);
  EXPECT_ERROR(Fault, "nothing is written through links", write_text_atomically(folder / "file", "text"));
  EXPECT_EQ(read_text(folder / "elsewhere"), "kept");
}

}  // namespace
}  // namespace eidolon
