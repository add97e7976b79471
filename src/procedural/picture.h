// Pixels under construction: plain floats, since a LibTorch call per pixel would cost more than the image.
#pragma once

#include <vector>

#include "base/tensor.h"

namespace eidolon {

struct Picture {
  int64_t channels = 0, size = 0;
  std::vector<float> values;  ///< C x S x S; any range until expose()

  Picture(int64_t channel_count, int64_t side)
      : channels(channel_count), size(side), values(static_cast<size_t>(channel_count * side * side)) {}

  float* channel(int64_t c) { return values.data() + c * size * size; }

  Tensor tensor() const { return at::from_blob(const_cast<float*>(values.data()), {channels, size, size}, at::kFloat).clone(); }
};

}  // namespace eidolon
