// One shard: the images of one unit of synthesis and what is known of them.
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
  // Undefined for noise:
  Tensor semantic_classes;                        ///< int32  N x 4, -1 = none
  Tensor crop_boxes;                              ///< int32  N x 4 x 4, (y, x, height, width) in image pixels, -1 = none
  Tensor class_logits;                            ///< float32 N x 4, the drawn logits of those classes
  Tensor soft_labels;                             ///< float32 N x classes, target of the whole image (probabilities)
  Tensor losses;                                  ///< float32 N x K, unweighted, of the final image
  std::vector<std::string> loss_names;            ///< K column names
  std::map<std::string, std::string> attributes;  ///< synthesis_id, facts, mean, std, method, data_free, job, versions
};

void write_shard(const std::filesystem::path& path, const ImageShard& shard);
ImageShard read_shard(const std::filesystem::path& path);  ///< verifies the seal; Fault if damaged

}  // namespace eidolon
