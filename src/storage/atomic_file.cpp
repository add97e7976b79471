#include "storage/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <span>
#include <system_error>

#include "base/error.h"
#include "storage/host_name.h"
#include "storage/posix_file.h"

namespace eidolon {

namespace {

/// The name beside `target` under which its bytes come to be. Whatever has that name at the end is removed: what went wrong
/// leaves nothing behind.
class PartFile {
 public:
  explicit PartFile(const std::filesystem::path& target) : path_(target) {
    path_ += std::string(".") + host_name() + "." + std::to_string(::getpid()) + ".part";
  }
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;
  ~PartFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

void write_text(const std::filesystem::path& path, std::string_view text) {
  PosixFile file = PosixFile::create(path);
  file.write(text);
  file.close();
}

void sync_file(const std::filesystem::path& path) {
  PosixFile file = PosixFile::open_for_reading(path);
  file.sync();
  file.close();
}

/// Makes a name that was given or taken durable.
void sync_folder_of(const std::filesystem::path& target) {
  const std::filesystem::path folder = target.has_parent_path() ? target.parent_path() : ".";
  PosixFile file = PosixFile::open_folder(folder);
  file.sync_folder();
  file.close();
}

/// Gives the finished file its name. False if it is not there: nobody wrote it, or somebody removed it.
bool give_name(const std::filesystem::path& part, const std::filesystem::path& target) {
  std::error_code error, unknown;
  if (!std::filesystem::exists(part, unknown)) return false;
  sync_file(part);
  std::filesystem::rename(part, target, error);
  if (error && std::filesystem::exists(part, unknown)) {
    throw_system_error("rename " + part.string() + " to", target, error.value());
  }
  return !error;
}

/// For file systems without hard links. A reader may see the file before its text.
bool create_without_links(const std::filesystem::path& target, std::string_view text) {
  const int descriptor = ::open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor < 0 && errno == EEXIST) return false;
  if (descriptor < 0) throw_system_error("create", target, errno);
  ::close(descriptor);
  try {
    write_text_atomically(target, text);
  } catch (...) {  // an empty file would say that the name is taken
    std::error_code ignored;
    std::filesystem::remove(target, ignored);
    throw;
  }
  return true;
}

}  // namespace

void write_atomically(const std::filesystem::path& target, const std::function<void(const std::filesystem::path&)>& write) {
  const PartFile part(target);
  for (int attempt = 1; attempt <= 3; ++attempt) {
    write(part.path());
    if (give_name(part.path(), target)) return sync_folder_of(target);
  }
  throw Fault("cannot write " + target.string() + ": " + part.path().string() +
              " was gone before it could be renamed; end what removes it and run again");
}

void write_text_atomically(const std::filesystem::path& target, std::string_view text) {
  write_atomically(target, [&](const std::filesystem::path& part) { write_text(part, text); });
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
  int code = 0;
  {
    const PartFile part(target);
    write_text(part.path(), text);
    sync_file(part.path());
    if (::link(part.path().c_str(), target.c_str()) != 0) code = errno;
  }
  if (code == EPERM || code == EOPNOTSUPP || code == ENOSYS) return create_without_links(target, text);
  if (code == EEXIST) return false;
  if (code != 0) throw_system_error("create", target, code);
  sync_folder_of(target);
  return true;
}

std::string read_text(const std::filesystem::path& path) {
  PosixFile file = PosixFile::open_for_reading(path);
  std::string text;
  std::array<char, 1 << 16> block;
  while (const std::size_t count = file.read(std::as_writable_bytes(std::span(block)))) text.append(block.data(), count);
  return text;
}

}  // namespace eidolon
