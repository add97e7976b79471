// Two ways for a write to fail: a limit on the size of files, which needs no rights, and a real file system that is full.
#pragma once

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace eidolon::testing {

/// While it lives, a write beyond `bytes` of any file fails with EFBIG.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

/// Runs `body` in a child process that sees a file system of 64 kB at `folder`, in a mount namespace that ends with the child.
/// Returns what the child found wrong (empty: nothing), or nothing at all where this user may not mount.
inline std::optional<std::string> on_small_disk(const std::filesystem::path& folder, const std::function<std::string()>& body) {
  constexpr int not_permitted = 77;
  int pipe_ends[2];
  if (pipe(pipe_ends) != 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    const bool separate = unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
    if (!separate || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) _exit(not_permitted);
    if (mount("none", folder.c_str(), "tmpfs", 0, "size=64k") != 0) _exit(not_permitted);
    std::string wrong;
    try {
      wrong = body();
    } catch (const std::exception& error) {
      wrong = error.what();
    }
    _exit(write(pipe_ends[1], wrong.data(), wrong.size()) == static_cast<ssize_t>(wrong.size()) ? 0 : 1);
  }
  close(pipe_ends[1]);
  std::string wrong;
  char block[256];
  while (const ssize_t count = read(pipe_ends[0], block, sizeof block)) {
    if (count < 0) break;
    wrong.append(block, static_cast<std::size_t>(count));
  }
  close(pipe_ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == not_permitted) return std::nullopt;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return "the child process died: " + wrong;
  return wrong;
}

}  // namespace eidolon::testing
