#include "storage/tensor_archive.h"

#include <algorithm>
#include <optional>
#include <span>
#include <system_error>

#include "base/error.h"
#include "storage/atomic_file.h"
#include "storage/hdf5.h"
#include "storage/posix_file.h"
#include "storage/seal.h"
#include "storage/sha256.h"

namespace eidolon {

namespace {

hdf5::Image sealed_image(const std::filesystem::path& path, const std::string& title, const TensorArchive& archive) {
  hdf5::Image image = hdf5::make_image(path.string(), seal_size, [&](const hdf5::File& file) {
    for (const auto& [name, tensor] : archive.tensors) hdf5::write_tensor(file, name, tensor);
    for (const auto& [name, text] : archive.attributes) hdf5::write_attribute(file, name, text);
  });
  Sha256 hash;
  hash.update(image.bytes().subspan(seal_size));
  const std::string seal = make_seal(title, hash.hex());
  std::ranges::copy(std::as_bytes(std::span(seal)), image.bytes().begin());
  return image;
}

void require_sound(const std::filesystem::path& path) {
  switch (verify_archive(path)) {
    case ArchiveState::sound:
      return;
    case ArchiveState::absent:
      throw Fault(path.string() + " does not exist; run the stage that makes it");
    case ArchiveState::damaged:
      throw Fault(path.string() + " is damaged; remove it and run again");
  }
}

}  // namespace

void write_archive(const std::filesystem::path& path, const std::string& title, const TensorArchive& archive) {
  const hdf5::Image image = sealed_image(path, title, archive);
  write_atomically(path, [&](const std::filesystem::path& part) {
    PosixFile file = PosixFile::create(part);
    file.write(image.bytes());
    file.close();
  });
}

ArchiveState verify_archive(const std::filesystem::path& path) {
  std::error_code unknown;  // also a folder on the way that is a file: then there is no such archive
  if (!std::filesystem::exists(path, unknown) && !std::filesystem::is_symlink(path, unknown)) return ArchiveState::absent;
  if (!std::filesystem::is_regular_file(path, unknown)) return ArchiveState::damaged;
  std::string block(seal_size, '\0');
  if (PosixFile::open_for_reading(path).read(std::as_writable_bytes(std::span(block))) < seal_size)
    return ArchiveState::damaged;
  const std::optional<std::string> digest = sealed_digest(block);
  return digest && *digest == sha256_of_file(path, seal_size) ? ArchiveState::sound : ArchiveState::damaged;
}

TensorArchive read_archive(const std::filesystem::path& path, const std::string& prefix) {
  require_sound(path);
  const hdf5::File file = hdf5::open_file(path);
  TensorArchive archive;
  int64_t left = hdf5::file_size(file);  // several names may stand for the same bytes
  for (const std::string& name : hdf5::dataset_names(file)) {
    if (!name.starts_with(prefix)) continue;
    const Tensor& tensor = archive.tensors[name] = hdf5::read_tensor(file, name);
    left -= static_cast<int64_t>(tensor.nbytes());
    if (left < 0) throw BadInput(path.string() + " declares more values than it has bytes; its datasets must not share them");
  }
  archive.attributes = hdf5::read_attributes(file);
  return archive;
}

std::map<std::string, std::string> read_attributes(const std::filesystem::path& path, bool verify) {
  if (verify) require_sound(path);
  return hdf5::read_attributes(hdf5::open_file(path));
}

}  // namespace eidolon
