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

}  // namespace eidolon
