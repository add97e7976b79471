#include "finetuning/sampler.h"

#include <algorithm>

#include "numerics/random.h"

namespace eidolon {

Sampler::Sampler(uint64_t seed, int64_t images, int64_t batch, int rank, int size)
    : seed_(seed), images_(images), batch_(std::min(batch, images)) {
  first_slot_ = batch_ * rank / size;
  end_slot_ = batch_ * (rank + 1) / size;
}

std::vector<int64_t> Sampler::own_images() const {
  std::vector<int64_t> own;
  for (int64_t image = 0; image < images_; ++image) {
    const int64_t slot = image % batch_;
    if (slot >= first_slot_ && slot < end_slot_) own.push_back(image);
  }
  return own;
}

std::vector<int64_t> Sampler::at(int64_t step) const {
  std::vector<int64_t> chosen;
  for (int64_t slot = first_slot_; slot < end_slot_; ++slot) {
    const int64_t length = (images_ - slot + batch_ - 1) / batch_;
    const int64_t epoch = step / length;
    const auto order = RandomStream(seed_, Purpose::sampling, slot, epoch).permutation(length);
    chosen.push_back(slot + batch_ * order[static_cast<size_t>(step % length)]);
  }
  return chosen;
}

}  // namespace eidolon
