#include "storage/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <span>
#include <system_error>

#include "base/error.h"
#include "storage/posix_file.h"

namespace eidolon {

namespace {

std::filesystem::path part_path(const std::filesystem::path& target) {
  std::array<char, 256> host{};  // a longer name is cut; the last byte stays 0
  if (::gethostname(host.data(), host.size() - 1) != 0) throw_system_error("ask for the host name to write", target, errno);
  std::filesystem::path part = target;
  part += std::string(".") + host.data() + "." + std::to_string(::getpid()) + ".part";
  return part;
}

void sync_file(const std::filesystem::path& path) {
  PosixFile file = PosixFile::open_for_reading(path);
  file.sync();
  file.close();
}

/// Makes the rename itself durable.
void sync_folder_of(const std::filesystem::path& target) {
  const std::filesystem::path folder = target.has_parent_path() ? target.parent_path() : ".";
  PosixFile file = PosixFile::open_folder(folder);
  file.sync_folder();
  file.close();
}

/// For file systems without hard links. A reader may see the file before its text.
bool create_without_links(const std::filesystem::path& target, std::string_view text) {
  const int descriptor = ::open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor < 0 && errno == EEXIST) return false;
  if (descriptor < 0) throw_system_error("create", target, errno);
  ::close(descriptor);
  write_text_atomically(target, text);
  return true;
}

void rename_file(const std::filesystem::path& part, const std::filesystem::path& target) {
  std::error_code error;
  std::filesystem::rename(part, target, error);
  if (error) throw_system_error("rename " + part.string() + " to", target, error.value());
}

}  // namespace

void write_atomically(const std::filesystem::path& target, const std::function<void(const std::filesystem::path&)>& write) {
  const std::filesystem::path part = part_path(target);
  try {
    write(part);
    sync_file(part);
    rename_file(part, target);
  } catch (...) {
    std::error_code ignored;  // the first error is the one that tells the cause
    std::filesystem::remove(part, ignored);
    throw;
  }
  sync_folder_of(target);
}

void write_text_atomically(const std::filesystem::path& target, std::string_view text) {
  write_atomically(target, [&](const std::filesystem::path& part) {
    PosixFile file = PosixFile::create(part);
    file.write(text);
    file.close();
  });
}

void remove_parts(const std::filesystem::path& folder, const std::string& prefix) {
  std::error_code ignored;  // what cannot be removed costs space, nothing else
  std::filesystem::directory_iterator entry(folder, ignored);
  for (; !ignored && entry != std::filesystem::directory_iterator(); entry.increment(ignored)) {
    const std::string name = entry->path().filename().string();
    std::error_code kept;
    if (name.starts_with(prefix) && name.ends_with(".part")) std::filesystem::remove(entry->path(), kept);
  }
}

// link() refuses a name that is taken, and gives the new name to a file that is already whole.
bool create_exclusively(const std::filesystem::path& target, std::string_view text) {
  const std::filesystem::path part = part_path(target);
  PosixFile file = PosixFile::create(part);
  file.write(text);
  file.close();
  const int code = ::link(part.c_str(), target.c_str()) == 0 ? 0 : errno;
  std::error_code ignored;
  std::filesystem::remove(part, ignored);
  if (code == EPERM || code == EOPNOTSUPP || code == ENOSYS) return create_without_links(target, text);
  if (code != 0 && code != EEXIST) throw_system_error("create", target, code);
  return code == 0;
}

std::string read_text(const std::filesystem::path& path) {
  PosixFile file = PosixFile::open_for_reading(path);
  std::string text;
  std::array<char, 1 << 16> block;
  while (const std::size_t count = file.read(std::as_writable_bytes(std::span(block)))) text.append(block.data(), count);
  return text;
}

}  // namespace eidolon
