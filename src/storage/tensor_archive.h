// A sealed HDF5 file of named tensors and text attributes, the format of checkpoints, unit states and image shards.
//
// Layout: the seal, a 512-byte user block that h5py and h5dump skip (storage/seal.h), then HDF5 with format bounds
// V110. `tail -c +513 FILE | sha256sum` verifies a file. Tensor names are paths ("student/blocks.0.norm1.weight") whose
// levels are groups. Files are written atomically (storage/atomic_file.h).
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/tensor.h"

namespace eidolon {

struct TensorArchive {
  TensorMap tensors;                              ///< uint8, int32, int64, float32, float64, bool (stored as uint8); any shape
  std::map<std::string, std::string> attributes;  ///< of the root group, UTF-8
};

enum class ArchiveState { absent, damaged, sound };

/// `title` is the readable line of the seal, e.g. "eidolon image shard". Tensors of rank 4 or more are chunked by their
/// first index (one image per chunk), the others contiguous; without compression.
void write_archive(const std::filesystem::path& path, const std::string& title, const TensorArchive& archive);

/// Reads the seal and recomputes the hash, without parsing HDF5. A damaged file is no error.
ArchiveState verify_archive(const std::filesystem::path& path);

/// Reads the tensors whose names start with `prefix`, and all attributes. Throws Fault "... is damaged; remove it and
/// run again" if the seal does not verify. A seal does not prove who wrote the file, so HDF5 features beyond plain
/// datasets are refused (storage/hdf5.h). Reading takes at most twice the file's size of memory.
TensorArchive read_archive(const std::filesystem::path& path, const std::string& prefix = "");

/// Reads the attributes alone. Verifies the seal, which reads the whole file, unless `verify` is false.
std::map<std::string, std::string> read_attributes(const std::filesystem::path& path, bool verify = true);

}  // namespace eidolon
