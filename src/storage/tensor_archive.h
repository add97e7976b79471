// A sealed HDF5 file of named tensors and text attributes: what checkpoints, unit states and image shards are made of.
//
// Layout: a 512-byte user block (h5py and h5dump skip it) whose first line is readable and whose second holds the SHA-256 of
// all bytes after the block, so that `tail -c +513 FILE | sha256sum` verifies the file; then HDF5, format bounds V110. Tensor
// names are paths ("student/blocks.0.norm1.weight"), each level a group. Written atomically (storage/atomic_file.h).
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/tensor.h"

namespace eidolon {

struct TensorArchive {
  TensorMap tensors;  ///< uint8, int32, int64, float32, float64, bool stored as uint8; any shape, 0-d too
  std::map<std::string, std::string> attributes;  ///< of the root group, UTF-8
};

enum class ArchiveState { absent, damaged, sound };

/// `title` is the readable line, e.g. "eidolon image shard". Datasets whose first dimension is > 1 and which have rank >= 4 are
/// chunked by their first index (one image per chunk), the others contiguous; no compression.
void write_archive(const std::filesystem::path& path, const std::string& title, const TensorArchive& archive);

/// Reads the seal and recomputes the hash, without parsing HDF5. Never throws for a file that is merely damaged.
ArchiveState verify_archive(const std::filesystem::path& path);

/// Reads all tensors (or those whose names start with `prefix`) and all attributes. Verifies first: throws Fault
/// "… is damaged; remove it and run again" otherwise. A seal proves that nothing has changed, not who wrote it: what HDF5
/// offers beyond plain datasets is refused (storage/hdf5.h), and nobody gets more bytes of memory than twice the file's.
TensorArchive read_archive(const std::filesystem::path& path, const std::string& prefix = "");

/// Attributes alone; cheap. Verifies the seal too unless `verify` is false.
std::map<std::string, std::string> read_attributes(const std::filesystem::path& path, bool verify = true);

}  // namespace eidolon
