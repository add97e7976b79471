// Names of convolutional networks in other conventions than torchvision's and timm's.
#pragma once

#include "base/tensor.h"

namespace eidolon {

/// Hugging Face's ResNet: "embedder.embedder.convolution.weight", after its prefix.
bool has_hugging_face_resnet_names(const TensorMap& tensors);

/// To torchvision's names.
TensorMap to_torchvisions_resnet(const TensorMap& tensors);

}  // namespace eidolon
