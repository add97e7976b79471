#include "reporting/result.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace eidolon {
namespace {

[[noreturn]] void refuse(int error) {
  throw Fault("standard output does not take the result: " + std::string(std::strerror(error)) +
              "; send it where it can be written, and run the same command again");
}

}  // namespace

void hold_standard_streams() {
  std::signal(SIGPIPE, SIG_IGN);
  // open() takes the lowest free number. Standard output becomes one that cannot be written, so that print_result() says so.
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream) {
    const bool closed = fcntl(stream, F_GETFD) == -1 && errno == EBADF;
    if (closed && open("/dev/null", stream == STDERR_FILENO ? O_WRONLY : O_RDONLY) < 0) std::_Exit(70);
  }
}

void print_result(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EAGAIN) {  // a launcher may hand down a pipe that does not block
      pollfd ready{STDOUT_FILENO, POLLOUT, 0};
      poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      refuse(errno);
    }
  }
  // A network file system may report a full disk only here. What cannot be synced at all, such as a pipe, says EINVAL.
  const bool lost = fsync(STDOUT_FILENO) != 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO);
  if (lost) refuse(errno);
}

void print_anew(std::string_view text) {
  const std::string before = isatty(STDOUT_FILENO) != 0 ? "\033[H\033[J" : "\n";
  print_result(before + std::string(text));
}

std::string json_text(const nlohmann::ordered_json& json, int indent) {
  return json.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace eidolon
