// Synthetic images in memory: the rows that one rank needs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <vector>

#include "base/tensor.h"
#include "model/preprocessing.h"

namespace eidolon {

struct SyntheticImages {
  std::vector<int64_t> global;        ///< ascending
  Tensor bytes;                       ///< uint8 N x C x S x S, on the CPU, in that order
  std::map<int64_t, int64_t> row_of;  ///< global index -> row

  int64_t size() const { return static_cast<int64_t>(global.size()); }
  Tensor rows(const std::vector<int64_t>& images) const;  ///< int64 row numbers of global indices
};

/// A shard and the global indices it holds, both ends included.
struct ShardFile {
  std::filesystem::path path;
  int64_t first = 0, last = 0;
};

/// Shards on a file system that may show one late: each is waited for so long before it counts as missing.
struct ShardFiles {
  std::vector<ShardFile> files;
  double wait_seconds = 0;
};

/// Reads the images with the given ascending global indices from the shards that hold them, and no other shard. Fault if one
/// is missing, damaged, or lacks an image.
SyntheticImages read_images(const ShardFiles& shards, const std::vector<int64_t>& wanted);

}  // namespace eidolon
