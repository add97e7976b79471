#include "storage/safetensors.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <span>
#include <system_error>

#include "base/error.h"
#include "base/pulse.h"
#include "storage/atomic_file.h"
#include "storage/percent_encoding.h"
#include "storage/posix_file.h"
#include "storage/safetensors_header.h"
#include "storage/sha256.h"

namespace eidolon {

static_assert(std::endian::native == std::endian::little, "safetensors is little-endian; this machine would swap bytes");

namespace {

std::span<std::byte> bytes_of(const Tensor& tensor) {
  return {static_cast<std::byte*>(tensor.data_ptr()), tensor.nbytes()};
}

SafetensorsHeader read_header(PosixFile& file) {
  const uint64_t size = file.size();
  uint64_t length = 0;
  if (file.read(std::as_writable_bytes(std::span(&length, 1))) < sizeof length) throw BadInput("it is shorter than 8 bytes");
  if (length > longest_safetensors_header) throw BadInput("it states a header of more than 100 MB");
  if (length > size - sizeof length) throw BadInput("it ends inside its header");
  std::string json(length, '\0');
  if (file.read(std::as_writable_bytes(std::span(json))) < length) throw BadInput("it ends inside its header");
  return parse_safetensors_header(json, size - sizeof length - length);
}

/// Expects `file` to stand at the tensor's first byte, which is so if tensors are read in the order of their bytes.
Tensor read_tensor(PosixFile& file, const StoredTensor& stored) {
  const Tensor tensor = at::empty(stored.shape, at::TensorOptions(stored.dtype));
  if (tensor.numel() == 0) return tensor;
  if (file.read(bytes_of(tensor)) < tensor.nbytes())
    throw BadInput("it ends inside tensor '" + percent_encoded(stored.name) + "'");
  if (stored.dtype == at::kBool && std::ranges::any_of(bytes_of(tensor), [](std::byte byte) { return byte > std::byte{1}; })) {
    throw BadInput("tensor '" + percent_encoded(stored.name) + "' is BOOL but holds other bytes than 0 and 1");
  }
  return tensor;
}

/// Wide dtypes first, so that every tensor is aligned to its own element size; then by name.
SafetensorsHeader lay_out(const TensorMap& tensors, const std::map<std::string, std::string>& metadata) {
  SafetensorsHeader header{{}, metadata};
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.defined()) throw BadInput("tensor '" + name + "' is undefined");
    header.tensors.push_back({name, tensor.scalar_type(), tensor.sizes().vec(), 0, 0});
  }
  std::ranges::stable_sort(header.tensors, std::greater{}, [](const StoredTensor& t) { return at::elementSize(t.dtype); });
  uint64_t begin = 0;
  for (StoredTensor& tensor : header.tensors) {
    tensor.begin = begin;
    tensor.end = begin += tensors.at(tensor.name).nbytes();
  }
  return header;
}

}  // namespace

/// Each part is preceded by what states its length, so that no two different contents are hashed as the same bytes.
std::string content_hash(const TensorMap& tensors) {
  Sha256 hash;
  for (const auto& [name, tensor] : tensors) {
    hash.update(std::to_string(name.size()) + ":" + name + " " + safetensors_dtype(tensor.scalar_type()) + " [");
    for (const int64_t size : tensor.sizes()) hash.update(std::to_string(size) + ",");
    hash.update("]\n");
    hash.update(bytes_of(tensor));
  }
  return hash.hex();
}

SafetensorsFile read_safetensors(const std::filesystem::path& path) {
  std::error_code unknown;
  if (!std::filesystem::is_regular_file(path, unknown)) throw BadInput(path.string() + " is not a file; check the path");
  try {
    PosixFile file = PosixFile::open_for_reading(path);
    const SafetensorsHeader header = read_header(file);
    SafetensorsFile contents{{}, header.metadata, {}};
    for (const StoredTensor& stored : header.tensors) contents.tensors[stored.name] = read_tensor(file, stored);
    contents.content_hash = content_hash(contents.tensors);
    return contents;
  } catch (const BadInput& error) {
    throw BadInput(path.string() + " is not a usable safetensors file: " + error.what() + "; fetch or export it again");
  }
}

void write_safetensors(const std::filesystem::path& path, const TensorMap& tensors,
                       const std::map<std::string, std::string>& metadata) try {
  const SafetensorsHeader header = lay_out(tensors, metadata);
  const std::string json = format_safetensors_header(header);
  const uint64_t length = json.size();
  write_atomically(path, [&](const std::filesystem::path& part) {
    PosixFile file = PosixFile::create(part);
    file.write(std::as_bytes(std::span(&length, 1)));
    file.write(json);
    for (const StoredTensor& stored : header.tensors) {
      const Tensor values = tensors.at(stored.name).detach().to(at::kCPU).contiguous();
      file.write(bytes_of(values));
      pulse();
    }
    file.close();
  });
} catch (const BadInput& error) {
  throw BadInput("cannot write " + path.string() + ": " + error.what());
}

}  // namespace eidolon
