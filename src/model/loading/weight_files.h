// The weights of a model folder, in one file or in several.
#pragma once

#include <filesystem>
#include <string>

#include "base/tensor.h"

namespace eidolon {

struct Weights {
  TensorMap tensors;
  std::string content_hash;  ///< the same however the tensors are spread over files
  std::string file;          ///< what was read, for messages: model.safetensors or its index
};

/// Reads model.safetensors, or else the files that model.safetensors.index.json names, which must lie in the folder and hold
/// exactly the tensors that the index lists. Throws BadInput that names the files of other formats which lie there instead.
Weights read_weights(const std::filesystem::path& folder);

}  // namespace eidolon
