#include "finetuning/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace eidolon {
namespace {

std::vector<int64_t> global_batch(int64_t images, int64_t batch, int size, int64_t step) {
  std::vector<int64_t> all;
  for (int rank = 0; rank < size; ++rank) {
    const auto part = Sampler(3, images, batch, rank, size).at(step);
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

TEST(Sampler, BatchesAreTheSameForAnyNumberOfRanks) {
  for (int64_t step = 0; step < 12; ++step) {
    const auto alone = global_batch(50, 8, 1, step);
    for (const int size : {2, 3, 4, 8, 11})
      EXPECT_EQ(global_batch(50, 8, size, step), alone) << size << " ranks, step " << step;
  }
}

TEST(Sampler, EveryLaneShowsEachOfItsImagesOncePerEpoch) {
  const Sampler sampler(5, 24, 8, 0, 1);
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    std::set<int64_t> seen;
    for (int64_t step = 0; step < 3; ++step) {
      for (const int64_t image : sampler.at(epoch * 3 + step)) seen.insert(image);
    }
    EXPECT_EQ(seen.size(), 24u);
  }
}

TEST(Sampler, EpochsAreShuffledDifferently) {
  const Sampler sampler(5, 800, 8, 0, 1);
  EXPECT_NE(sampler.at(0), sampler.at(100));
}

TEST(Sampler, ImagesStayInTheirLaneAndRankOwnsWhatItUses) {
  for (int rank = 0; rank < 3; ++rank) {
    const Sampler sampler(1, 29, 7, rank, 3);
    const auto own = sampler.own_images();
    for (int64_t step = 0; step < 20; ++step) {
      for (const int64_t image : sampler.at(step)) EXPECT_TRUE(std::binary_search(own.begin(), own.end(), image));
    }
  }
}

TEST(Sampler, RanksBeyondTheBatchOwnNothing) {
  int64_t owned = 0, idle = 0;
  for (int rank = 0; rank < 6; ++rank) {
    const Sampler sampler(1, 10, 4, rank, 6);
    owned += static_cast<int64_t>(sampler.own_images().size());
    idle += sampler.at(0).empty() ? 1 : 0;
  }
  EXPECT_EQ(owned, 10);
  EXPECT_EQ(idle, 2);
}

TEST(Sampler, BatchIsLoweredToTheNumberOfImages) {
  const Sampler sampler(1, 3, 16, 0, 1);
  EXPECT_EQ(sampler.batch(), 3);
  EXPECT_EQ(sampler.at(0), (std::vector<int64_t>{0, 1, 2}));
}

}  // namespace
}  // namespace eidolon
