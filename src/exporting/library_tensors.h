// A deployment's parameters under the names of the library that is to load them.
#pragma once

#include <string>
#include <vector>

#include "exporting/deployment.h"
#include "model/loading/published_folder.h"

namespace eidolon {

/// "blocks.0.attn.qkv" of a weight's name "blocks.0.attn.qkv.weight".
std::string module_of(const std::string& weight);

/// Adds the parameter `name` under the library's names for it, its rows in equal shares where there are several.
void add_parameter(TensorMap& tensors, const PublishedFolder& folder, const std::string& name, const Tensor& values);

/// Rows `first` .. `first + count - 1` of a weight as a weight of its own.
DeployedWeight rows_of(const DeployedWeight& weight, int64_t first, int64_t count);

}  // namespace eidolon
