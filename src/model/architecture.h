// The shape of a vision transformer, as its weights state it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/tensor.h"

namespace eidolon {

struct Architecture {
  int64_t channels = 3;
  int64_t image_size = 224;  ///< images are square
  int64_t patch_size = 16;
  int64_t width = 192;
  int64_t depth = 12;
  int64_t heads = 3;
  int64_t hidden = 768;  ///< of the MLP
  int64_t classes = 1000;
  double layer_norm_epsilon = 1e-6;

  int64_t grid() const { return image_size / patch_size; }
  int64_t patches() const { return grid() * grid(); }
  int64_t tokens() const { return patches() + 1; }  ///< the class token comes first
  bool operator==(const Architecture&) const = default;
};

/// Every parameter's shape by timm name.
std::map<std::string, std::vector<int64_t>> parameter_shapes(const Architecture& architecture);

/// Multiply-accumulate operations of one forward pass of one image.
double forward_macs(const Architecture& architecture);

}  // namespace eidolon
