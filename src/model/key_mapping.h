// Parameter names: other conventions to timm's.
#pragma once

#include <string>

#include "base/tensor.h"

namespace eidolon {

/// True if the names are those of Hugging Face's ViTForImageClassification.
bool has_hugging_face_names(const TensorMap& tensors);

/// Renames to timm names and joins query, key and value into qkv. Names it does not know stay as they are, to be reported.
TensorMap from_hugging_face(const TensorMap& tensors);

/// What a name says about an architecture that is not built ("a distillation token"), or empty.
std::string unsupported_feature(const std::string& timm_name);

}  // namespace eidolon
