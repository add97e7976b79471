// Which images a step trains on, and which rank holds them, so that batches are the same for any number of ranks.
#pragma once

#include <cstdint>
#include <vector>

namespace eidolon {

/// A global batch of B has B lanes; image i lives in lane i mod B; each step takes the next image of every lane's own
/// permutation (seed, epoch, lane). A rank owns a contiguous range of lanes and needs only their images. Ranks beyond B own
/// none.
class Lanes {
 public:
  /// `batch` is lowered to `images` if there are fewer.
  Lanes(uint64_t seed, int64_t images, int64_t batch, int rank, int size);

  int64_t batch() const { return batch_; }
  std::vector<int64_t> own_images() const;      ///< ascending global indices
  std::vector<int64_t> at(int64_t step) const;  ///< this rank's images of a step, by lane

 private:
  uint64_t seed_;
  int64_t images_, batch_, first_lane_, end_lane_;
};

}  // namespace eidolon
