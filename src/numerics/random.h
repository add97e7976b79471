// Counter-based random numbers: a draw depends only on (seed, purpose, index, iteration) and not on earlier draws.
//
// The engine is LibTorch's Philox 4x32-10 (Salmon et al., SC 2011): key = seed, subsequence = purpose << 48 | index,
// offset = iteration << 32. Numbers are drawn on the CPU, so they do not depend on the device.
#pragma once

#include <ATen/core/PhiloxRNGEngine.h>

#include <cstdint>
#include <numbers>
#include <optional>
#include <vector>

#include "base/tensor.h"

namespace eidolon {

/// What a number is drawn for. The values decide the bits of all artefacts: never renumber, only append.
enum class Purpose : uint64_t {
  start_noise = 1,
  prior = 2,
  crops = 3,
  semantic_classes = 4,
  soft_labels = 5,
  variation_target = 6,
  sampling = 7,
  prior_weight_probe = 8,
  procedural_start = 9,
  input_mix = 10,
  activation_drop = 11,
  image_stream = 12,
  views = 13,
  generator_start = 14,
  generator_noise = 15,
  generator_pairs = 16,
  generated_noise = 17,
  generated_images = 18,
};

class RandomStream {
 public:
  /// `index` < 2^48 is the global image index, the slot of a batch, ...; `iteration` < 2^32 separates draws of one index.
  RandomStream(uint64_t seed, Purpose purpose, int64_t index, int64_t iteration = 0);

  double uniform();                         ///< in (0, 1)
  double uniform(double low, double high);  ///< in (low, high)
  int64_t below(int64_t bound);             ///< in {0, ..., bound - 1}
  double normal();                          ///< N(0, 1), Box-Muller
  Tensor normals(at::IntArrayRef shape);    ///< float32
  /// bool; each element is true with `probability`, rounded to a multiple of 2^-16. Draws one word of the engine per 32
  /// elements for a probability of 0.5, and at most sixteen.
  Tensor mask(at::IntArrayRef shape, double probability);
  std::vector<int64_t> permutation(int64_t size);

 private:
  uint32_t biased_bits(uint32_t chance);

  at::Philox4_32 engine_;
  std::optional<double> spare_normal_;
};

}  // namespace eidolon
