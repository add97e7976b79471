#include "model/families/required.h"

#include "base/error.h"
#include "model/shape_text.h"

namespace eidolon {

const Tensor& required(const TensorMap& tensors, const std::string& name, int64_t dimensions, const std::string& file) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) {
    throw BadInput(file + ": parameter '" + name +
                   "' is missing; docs/reference/models.md says which networks and whose names are read");
  }
  if (found->second.dim() != dimensions) {
    throw BadInput(file + ": parameter '" + name + "' has shape " + shape_text(found->second.sizes()) + ", expected " +
                   std::to_string(dimensions) + " dimensions");
  }
  if (found->second.numel() == 0) throw BadInput(file + ": parameter '" + name + "' is empty; the weights are damaged");
  return found->second;
}

void refuse_stages(const ModelConfig& config, const std::string& file) {
  if (config.output != "stages") return;
  throw BadInput(file +
                 ": teacher.output = \"stages\" is of Swin transformers; pooled, tokens and both are built for this one");
}

void refuse_encoder_settings(const ModelConfig& config, const std::string& kind, const std::string& file) {
  const auto refuse = [&](const std::string& what) {
    throw BadInput(file + ": " + what + " said of a " + kind + ", which takes no such setting; remove it");
  };
  if (config.heads) refuse("a number of heads for all blocks is");
  if (config.pooling_heads) refuse("heads of attention pooling are");
  if (config.rotation) refuse("a rotation of queries and keys is");
  if (config.class_embeddings.defined()) refuse("class embeddings are");
  const std::string pooling = config.pooling.value_or("avg");
  if (pooling != "avg" && pooling != "none") refuse("pooling \"" + pooling + "\" is");
}

}  // namespace eidolon
