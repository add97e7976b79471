// Batches of labelled images, decoded and cropped, ready for the model's normalization.
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
  Tensor images;  ///< uint8 N x channels x S x S on the CPU, N at most the number asked for, in their order
  Tensor labels;  ///< int64 N
};

/// Decodes and crops (decode_image, evaluation_crop) with as many threads as LibTorch has been given. An image that cannot be
/// decoded is left out, and the reason with its path is appended to `undecodable`.
LabelledBatch load_batch(std::span<const LabelledImage> images, int64_t channels, const ImageTransform& transform,
                         std::vector<std::string>& undecodable);

}  // namespace eidolon
