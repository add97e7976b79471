#include "storage/posix_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "storage/percent_encoding.h"

namespace eidolon {
namespace {

const char* remedy_for(int code) {
  switch (code) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return "free some space and run again";
    case EACCES:
    case EPERM:
    case EROFS:
      return "grant this user access to it and run again";
    case ENOENT:
    case ENOTDIR:
      return "check the path";
    case ELOOP:
      return "it is a link, and nothing is written through links; remove it and run again";
    case EMFILE:
    case ENFILE:
      return "raise the limit of open files (ulimit -n) and run again";
    default:
      return "check the file system and run again";
  }
}

}  // namespace

void throw_system_error(std::string_view action, const std::filesystem::path& path, int code) {
  throw Fault("cannot " + std::string(action) + " " + path.string() + ": " + std::generic_category().message(code) + "; " +
              remedy_for(code));
}

PosixFile::PosixFile(const std::filesystem::path& path, int flags, std::string_view action) : path_(path) {
  do {
    descriptor_ = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
  } while (descriptor_ < 0 && errno == EINTR);
  if (descriptor_ < 0) throw_system_error(action, path, errno);
}

PosixFile PosixFile::open_for_reading(const std::filesystem::path& path) {
  return PosixFile(path, O_RDONLY, "open");
}

PosixFile PosixFile::open_folder(const std::filesystem::path& path) {
  return PosixFile(path, O_RDONLY | O_DIRECTORY, "open the folder");
}

PosixFile PosixFile::create(const std::filesystem::path& path) {
  return PosixFile(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, "create");
}

PosixFile PosixFile::open_for_appending(const std::filesystem::path& path) {
  return PosixFile(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, "open");
}

PosixFile::PosixFile(PosixFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

PosixFile& PosixFile::operator=(PosixFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

PosixFile::~PosixFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

uint64_t PosixFile::size() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) throw_system_error("inspect", path_, errno);
  return static_cast<uint64_t>(status.st_size);
}

void PosixFile::seek(uint64_t offset) {
  if (::lseek(descriptor_, static_cast<off_t>(offset), SEEK_SET) < 0) throw_system_error("seek in", path_, errno);
}

std::size_t PosixFile::read(std::span<std::byte> bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::read(descriptor_, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_system_error("read", path_, errno);
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

void PosixFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_system_error("write", path_, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void PosixFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text)));
}

void PosixFile::sync() {
  if (::fsync(descriptor_) != 0) throw_system_error("sync", path_, errno);
}

void PosixFile::sync_folder() {
  if (::fsync(descriptor_) != 0 && errno != EINVAL) throw_system_error("sync the folder", path_, errno);
}

void PosixFile::close() {
  // Linux releases the descriptor even if close fails, so it must not be closed a second time.
  if (::close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR) throw_system_error("close", path_, errno);
}

std::string host_name() {
  char name[HOST_NAME_MAX + 1] = {};  // a longer name is cut; the last byte stays 0
  if (gethostname(name, sizeof name - 1) != 0) throw Fault(std::string("gethostname failed: ") + std::strerror(errno));
  return percent_encoded(name, "/");
}

}  // namespace eidolon
