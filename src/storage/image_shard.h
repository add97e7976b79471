// An image shard: the images of one unit of synthesis, their targets and their losses.
//
// A sealed archive (storage/tensor_archive.h) with the datasets /images, /global_index, /semantic_classes, /crop_boxes,
// /class_logits, /soft_labels and /losses, and text attributes of the root group. Undefined tensors are left out.
// Python:
//
//   with h5py.File(path) as shard:
//       images, index = shard["images"][:], shard["global_index"][:]
//       names = json.loads(shard.attrs["loss_names"])  # the columns of /losses
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/tensor.h"

namespace eidolon {

struct ImageShard {
  Tensor images;        ///< uint8  N x C x H x W
  Tensor global_index;  ///< int64  N
  // Undefined for images that were not optimised:
  Tensor semantic_classes;              ///< int32  N x 4, -1 = none
  Tensor crop_boxes;                    ///< int32  N x 4 x 4, (y, x, height, width) in image pixels, -1 = none
  Tensor class_logits;                  ///< float32 N x 4, the drawn logits of those classes; 0 for one-hot targets
  Tensor soft_labels;                   ///< float32 N x classes, target of the whole image (probabilities)
  Tensor losses;                        ///< float32 N x K, unweighted loss terms of the final image
  std::vector<std::string> loss_names;  ///< names of the K columns; in the file a JSON attribute
  /// synthesis_id, facts, mean, std, method, data_free, job, versions. The writer adds `layout` = "NCHW" and, for one
  /// and three channels, `channels` = "L" or "RGB"; the reader returns these too.
  std::map<std::string, std::string> attributes;
};

/// Tensors may be on any device. Throws Fault if shapes or dtypes are not as above, or if the disk fails.
void write_shard(const std::filesystem::path& path, const ImageShard& shard);

/// Verifies the seal. Throws Fault if the file is absent, damaged, or not as above.
ImageShard read_shard(const std::filesystem::path& path);

}  // namespace eidolon
