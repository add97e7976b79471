// Checked POSIX files: a full disk, a broken read or a refused permission becomes a Fault that names the path and the remedy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace eidolon {

/// Fault "cannot <action> <path>: <strerror(code)>; <remedy>".
[[noreturn]] void throw_system_error(std::string_view action, const std::filesystem::path& path, int code);

/// An open file descriptor. Move only; every call throws Fault.
class PosixFile {
 public:
  static PosixFile open_for_reading(const std::filesystem::path& path);
  static PosixFile open_folder(const std::filesystem::path& path);
  static PosixFile create(const std::filesystem::path& path);  ///< replaces what is there

  PosixFile(PosixFile&& other) noexcept;
  PosixFile& operator=(PosixFile&& other) noexcept;
  ~PosixFile();

  uint64_t size() const;
  void seek(uint64_t offset);
  /// Fills `bytes` as far as the file reaches and returns how many were read; fewer than asked means the end of the file.
  std::size_t read(std::span<std::byte> bytes);
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  void sync();  ///< fsync: on return the bytes are on the disk
  /// The same for a folder, whose entries (a rename) become durable. Tolerates EINVAL: some network file systems cannot sync
  /// a folder and keep the order themselves.
  void sync_folder();
  void close();  ///< throws, unlike the destructor: some file systems report a full disk only here

 private:
  PosixFile(const std::filesystem::path& path, int flags, std::string_view action);

  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace eidolon
