// Parameter names: other conventions to timm's.
#pragma once

#include <string>
#include <vector>

#include "base/tensor.h"
#include "model/loading/config.h"

namespace eidolon {

struct TimmNames {
  TensorMap tensors;
  std::vector<std::string> remarks;  ///< what was left out, a line each
  SwinConventions swin = {};         ///< of the origin of a Swin's file
};

/// Any of the conventions to timm's: takes off what stands in front of the network's names ("module.", "vit.",
/// "vision_model."), passes over what the network does not use (a pooler, a text tower, a decoder, buffers), and renames:
/// Hugging Face's names in files and in transformers 5's memory, OpenAI's of CLIP, Meta's of DINOv2. What no rule knows stays
/// as it is, to be reported. Throws BadInput, naming `file`, if a prefix stands in front of some names only.
TimmNames to_timm_names(const TensorMap& tensors, const std::string& file);

/// The names in Hugging Face's files of what timm calls `name` in a plain ViT: one, or those of query, key and value, which
/// hold equal shares of the rows of qkv. A name it does not know stays as it is.
std::vector<std::string> to_hugging_face(const std::string& name);

/// What a name says about an architecture that is not built ("a squeeze-and-excitation layer"), or empty.
std::string unsupported_feature(const std::string& timm_name);

}  // namespace eidolon
