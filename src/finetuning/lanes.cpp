#include "finetuning/lanes.h"

#include <algorithm>

#include "numerics/random.h"

namespace eidolon {

Lanes::Lanes(uint64_t seed, int64_t images, int64_t batch, int rank, int size)
    : seed_(seed), images_(images), batch_(std::min(batch, images)) {
  first_lane_ = batch_ * rank / size;
  end_lane_ = batch_ * (rank + 1) / size;
}

std::vector<int64_t> Lanes::own_images() const {
  std::vector<int64_t> own;
  for (int64_t image = 0; image < images_; ++image) {
    const int64_t lane = image % batch_;
    if (lane >= first_lane_ && lane < end_lane_) own.push_back(image);
  }
  return own;
}

std::vector<int64_t> Lanes::at(int64_t step) const {
  std::vector<int64_t> chosen;
  for (int64_t lane = first_lane_; lane < end_lane_; ++lane) {
    const int64_t length = (images_ - lane + batch_ - 1) / batch_;
    const int64_t epoch = step / length;
    const auto order = RandomStream(seed_, Purpose::lane_permutation, lane, epoch).permutation(length);
    chosen.push_back(lane + batch_ * order[static_cast<size_t>(step % length)]);
  }
  return chosen;
}

}  // namespace eidolon
