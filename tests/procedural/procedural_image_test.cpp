// The contract: shape, range, and that an image is a function of its random stream and nothing else.
#include "procedural/procedural_image.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace eidolon {
namespace {

Tensor image_of(const std::string& family, int64_t index, int64_t channels = 3, int64_t size = 64) {
  RandomStream random(7, Purpose::procedural_start, index);
  return procedural_image(family, random, channels, size);
}

class EveryFamily : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Procedural, EveryFamily, ::testing::ValuesIn([] {
                           std::vector<std::string> names;
                           for (const std::string_view name : procedural_families()) names.emplace_back(name);
                           return names;
                         }()),
                         [](const auto& instance) { return instance.param; });

TEST_P(EveryFamily, HasAnyShapeAndStaysInRange) {
  for (const int64_t channels : {1, 2, 3, 4}) {
    for (const int64_t size : {16, 17, 32, 50, 97}) {
      const Tensor image = image_of(GetParam(), size, channels, size);
      ASSERT_EQ(image.sizes(), at::IntArrayRef({channels, size, size}));
      ASSERT_EQ(image.scalar_type(), at::kFloat);
      EXPECT_GE(image.min().item<double>(), 0.0);
      EXPECT_LE(image.max().item<double>(), 1.0);
      EXPECT_GT(image.std().item<double>(), 0.08) << channels << " x " << size;
      EXPECT_TRUE(at::isfinite(image).all().item<bool>());
    }
  }
}

TEST_P(EveryFamily, IsTheSameBytesWhateverWasDrawnBefore) {
  const Tensor first = image_of(GetParam(), 3);
  for (const std::string_view other : procedural_families()) image_of(std::string(other), 4);
  EXPECT_TRUE(at::equal(image_of(GetParam(), 3), first));
}

TEST_P(EveryFamily, IsTheSameBytesForAnyNumberOfThreads) {
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const Tensor alone = image_of(GetParam(), 5, 3, 224);
  at::set_num_threads(4);
  const Tensor together = image_of(GetParam(), 5, 3, 224);
  at::set_num_threads(before);
  EXPECT_TRUE(at::equal(alone, together));
}

TEST_P(EveryFamily, DiffersBetweenIndices) {
  // Of pictures that share nothing the difference has sqrt(2) times the deviation of one; 0.1 is far below any of these.
  for (int64_t index = 0; index < 16; ++index) {
    const Tensor difference = image_of(GetParam(), index) - image_of(GetParam(), index + 1);
    EXPECT_GT(difference.square().mean().sqrt().item<double>(), 0.1) << index;
  }
}

TEST_P(EveryFamily, HasChannelsThatDifferButMostlyAgree) {
  std::vector<Tensor> channels;
  for (int64_t index = 0; index < 24; ++index) channels.push_back(image_of(GetParam(), index).reshape({3, -1}));
  const Tensor correlation = at::corrcoef(at::cat(channels, 1));
  for (const auto& [a, b] : {std::pair{0, 1}, {0, 2}, {1, 2}}) {
    EXPECT_GT(correlation[a][b].item<double>(), 0.7);  // photographs: about 0.9
    EXPECT_LT(correlation[a][b].item<double>(), 0.99);
  }
}

TEST(ProceduralImage, RefusesUnknownFamiliesAndTinySizes) {
  const auto message = [](const std::string& family, int64_t size) -> std::string {
    try {
      image_of(family, 0, 3, size);
    } catch (const BadInput& error) {
      return error.what();
    }
    return "(accepted)";
  };
  EXPECT_EQ(message("leafs", 64), "no family of procedural images is called 'leafs'; there are pink, leaves, scenes, textures");
  EXPECT_EQ(message("pink", 15), "procedural images are 16 pixels wide at least, not 15");
}

}  // namespace
}  // namespace eidolon
