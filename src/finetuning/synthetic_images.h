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

/// Reads the images with the given ascending global indices from the shards that hold them. Fault if a shard lacks one.
SyntheticImages read_images(const std::vector<std::filesystem::path>& shards, const std::vector<int64_t>& wanted);

}  // namespace eidolon
