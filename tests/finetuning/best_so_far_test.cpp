#include "finetuning/best_so_far.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace eidolon {
namespace {

TEST(BestSoFar, IsTheSameBehindACheckpoint) {
  BestSoFar best, again;
  best.offer(3, {{"w", at::full({2}, 7)}});
  best.offer(4, {{"w", at::zeros({2})}});
  again.offer(5, {{"w", at::zeros({2})}});
  again.restore(best.state());
  EXPECT_EQ(again.loss(), 3);
  EXPECT_TRUE(at::equal(again.tensors().at("w"), at::full({2}, 7)));
}

TEST(BestSoFar, OfACheckpointThatLiesIsRefused) {
  BestSoFar best;
  best.offer(3, {{"w", at::ones({2})}, {"b", at::ones({1})}});
  const TensorMap sound = best.state();
  for (const auto& [name, tensor] : sound) {
    TensorMap lacking = sound, misshapen = sound;
    lacking.erase(name);
    misshapen[name] = at::ones({7});
    EXPECT_THROW(best.restore(lacking), Fault) << name;
    EXPECT_THROW(best.restore(misshapen), Fault) << name;
  }
}

}  // namespace
}  // namespace eidolon
