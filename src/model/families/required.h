// A parameter without which a family cannot be read.
#pragma once

#include <string>

#include "base/tensor.h"

namespace eidolon {

/// BadInput naming `file` and the parameter if it is missing, empty, or has other dimensions.
const Tensor& required(const TensorMap& tensors, const std::string& name, int64_t dimensions, const std::string& file);

}  // namespace eidolon
