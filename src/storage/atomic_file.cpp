#include "storage/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <span>
#include <system_error>
#include <thread>

#include "base/error.h"
#include "base/pulse.h"
#include "storage/posix_file.h"

namespace eidolon {
namespace {

/// The temporary file beside `target` that is written first. The destructor removes it if it still exists, so that
/// failures leave nothing behind.
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

/// Syncs the folder of `target`, which makes a new or removed name durable.
void sync_folder_of(const std::filesystem::path& target) {
  const std::filesystem::path folder = target.has_parent_path() ? target.parent_path() : ".";
  PosixFile file = PosixFile::open_folder(folder);
  file.sync_folder();
  file.close();
}

/// Renames the finished file. False if it does not exist: it was not written, or another process removed it.
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
  } catch (...) {  // an empty file would look like a taken name
    std::error_code ignored;
    std::filesystem::remove(target, ignored);
    throw;
  }
  return true;
}

/// Lists the folder, which makes a network file system ask its server again. It may cache that a single name is
/// missing.
bool appears(const std::filesystem::path& path) {
  std::error_code ignored;
  for (std::filesystem::directory_iterator entry(path.parent_path(), ignored), end; !ignored && entry != end;
       entry.increment(ignored)) {
    if (entry->path().filename() == path.filename()) return true;
  }
  return std::filesystem::exists(path, ignored);
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
  std::error_code ignored;  // a file that cannot be removed only costs space
  std::filesystem::directory_iterator entry(folder, ignored);
  for (; !ignored && entry != std::filesystem::directory_iterator(); entry.increment(ignored)) {
    const std::string name = entry->path().filename().string();
    std::error_code kept;
    if (name.starts_with(prefix) && name.ends_with(".part")) std::filesystem::remove(entry->path(), kept);
  }
}

// link() fails if the name exists, and it names a file that is already complete.
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

bool await_file(const std::filesystem::path& path, double seconds) {
  using Clock = std::chrono::steady_clock;
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) return true;
  const auto deadline = Clock::now() + std::chrono::duration<double>(seconds);
  while (Clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    pulse();  // this wait has a deadline, so it is no hang
    if (appears(path)) return true;
  }
  return false;
}

}  // namespace eidolon
