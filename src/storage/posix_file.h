// Checked POSIX calls. A full disk, a failed read or a refused permission becomes a Fault with the path and the remedy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace eidolon {

/// Throws Fault "cannot <action> <path>: <strerror(code)>; <remedy>".
[[noreturn]] void throw_system_error(std::string_view action, const std::filesystem::path& path, int code);

/// An open file descriptor. Move only. Every member function but the destructor throws Fault if the call fails.
class PosixFile {
 public:
  static PosixFile open_for_reading(const std::filesystem::path& path);
  static PosixFile open_folder(const std::filesystem::path& path);
  static PosixFile create(const std::filesystem::path& path);              ///< truncates an existing file; follows no link
  static PosixFile open_for_appending(const std::filesystem::path& path);  ///< creates a missing file; follows no link

  PosixFile(PosixFile&& other) noexcept;
  PosixFile& operator=(PosixFile&& other) noexcept;
  ~PosixFile();

  uint64_t size() const;
  void seek(uint64_t offset);
  /// Reads bytes.size() bytes, or fewer at the end of the file. Returns the number of bytes read.
  std::size_t read(std::span<std::byte> bytes);
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  void sync();  ///< fsync: the bytes are on the disk on return
  /// The same for a folder, which makes its entries (e.g. a rename) durable. Ignores EINVAL: some network file systems
  /// cannot sync a folder and keep the order themselves.
  void sync_folder();
  void close();  ///< unlike the destructor it throws: some file systems report a full disk only here

 private:
  PosixFile(const std::filesystem::path& path, int flags, std::string_view action);

  std::filesystem::path path_;
  int descriptor_ = -1;
};

/// The result of gethostname(), percent-encoded so that it fits file names and JSON. A slash is encoded too.
std::string host_name();

}  // namespace eidolon
