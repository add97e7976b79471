// Parameter names: other conventions to timm's.
#pragma once

#include <string>
#include <vector>

#include "base/tensor.h"

namespace eidolon {

/// True if the names are those of Hugging Face's ViTForImageClassification, with or without "vit." in front.
bool has_hugging_face_names(const TensorMap& tensors);

/// Renames to timm names and joins query, key and value into qkv: files' names and transformers 5's state_dict() names. Names
/// it does not know stay as they are, to be reported.
TensorMap from_hugging_face(const TensorMap& tensors);

/// The names in Hugging Face's files of what timm calls `name`: one, or those of query, key and value, which hold equal shares
/// of the rows of qkv. from_hugging_face() undoes it. A name it does not know stays as it is.
std::vector<std::string> to_hugging_face(const std::string& name);

struct TimmNames {
  TensorMap tensors;
  std::vector<std::string> remarks;  ///< what was left out, a line each
};

/// Any of the conventions to timm's: takes off a prefix that all names share ("module."), passes over what classification does
/// not use (a pooler, buffers of positions and counters), and renames. Throws BadInput, naming `file`, if a prefix stands in
/// front of some names only.
TimmNames to_timm_names(const TensorMap& tensors, const std::string& file);

/// What a name says about an architecture that is not built ("a distillation token"), or empty.
std::string unsupported_feature(const std::string& timm_name);

}  // namespace eidolon
