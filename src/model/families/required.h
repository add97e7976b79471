// What families refuse alike.
#pragma once

#include <string>

#include "base/tensor.h"
#include "model/loading/config.h"

namespace eidolon {

/// BadInput naming `file` and the parameter if it is missing, empty, or has other dimensions.
const Tensor& required(const TensorMap& tensors, const std::string& name, int64_t dimensions, const std::string& file);

/// BadInput if the job asks for the maps behind stages, which the network does not have.
void refuse_stages(const ModelConfig& config, const std::string& file);

/// BadInput naming what the job, description.json or the config says of heads, rotation, pooling or class embeddings and a
/// `kind` of network in stages does not take.
void refuse_encoder_settings(const ModelConfig& config, const std::string& kind, const std::string& file);

}  // namespace eidolon
