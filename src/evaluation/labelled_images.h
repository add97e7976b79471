// Batches of labelled images, decoded and cropped, not yet normalised.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "evaluation/image_folder.h"
#include "evaluation/image_transform.h"

namespace eidolon {

struct LabelledBatch {
  Tensor images;                   ///< uint8 N x channels x S x S on the CPU, in the order of the list
  Tensor labels;                   ///< int64 N
  std::vector<int64_t> positions;  ///< of these N in the list
};

/// Decodes and crops the images (decode_image, evaluation_crop) with LibTorch's number of threads. An image that cannot
/// be decoded is left out; its path and the reason are appended to `undecodable`.
LabelledBatch load_batch(std::span<const LabelledImage> images, int64_t channels, const ImageTransform& transform,
                         std::vector<std::string>& undecodable);

}  // namespace eidolon
