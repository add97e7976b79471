#include "exporting/library_tensors.h"

#include "base/error.h"

namespace eidolon {

std::string module_of(const std::string& weight) {
  static const std::string ending = ".weight";
  if (!weight.ends_with(ending)) throw Fault("the weight '" + weight + "' is no parameter of a module that has one");
  return weight.substr(0, weight.size() - ending.size());
}

void add_parameter(TensorMap& tensors, const PublishedFolder& folder, const std::string& name, const Tensor& values) {
  const std::vector<std::string> names = folder.names(name);
  const int64_t rows = values.size(0) / static_cast<int64_t>(names.size());
  for (size_t i = 0; i < names.size(); ++i)
    tensors[names[i]] = values.narrow(0, static_cast<int64_t>(i) * rows, rows).contiguous();
}

DeployedWeight rows_of(const DeployedWeight& weight, int64_t first, int64_t count) {
  const auto rows = [&](const Tensor& tensor) {
    const bool has_rows = tensor.defined() && tensor.dim() > 0 && tensor.size(0) == weight.codes.size(0);
    return has_rows ? tensor.narrow(0, first, count).contiguous() : tensor;
  };
  return {.spec = weight.spec,
          .codes = rows(weight.codes),
          .scale = rows(weight.scale),
          .zero_point = rows(weight.zero_point),
          .factor = weight.factor,
          .float_channels = weight.float_channels,
          .float_columns = rows(weight.float_columns),
          .left = rows(weight.left),
          .right = weight.right};
}

}  // namespace eidolon
