// Which images a step trains on, and which rank holds them, so that batches are the same for any number of ranks.
#pragma once

#include <cstdint>
#include <vector>

namespace eidolon {

/// A global batch has B slots, and image i belongs to slot i mod B. Every step takes the next image of each slot, in the order
/// of a permutation of the slot's own (seed, epoch, slot). A rank serves a contiguous range of slots and needs only their
/// images. Ranks beyond B serve none.
class Sampler {
 public:
  /// `batch` is lowered to `images` if there are fewer.
  Sampler(uint64_t seed, int64_t images, int64_t batch, int rank, int size);

  int64_t batch() const { return batch_; }
  std::vector<int64_t> own_images() const;      ///< ascending global indices
  std::vector<int64_t> at(int64_t step) const;  ///< this rank's images of a step, by slot

 private:
  uint64_t seed_;
  int64_t images_, batch_, first_slot_, end_slot_;
};

}  // namespace eidolon
