#include "finetuning/image_stream.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/finetuning/setting.h"

namespace eidolon {
namespace {

struct StreamSetting : Setting {
  ImageStream stream(std::vector<std::string> kinds) const { return {images, preprocessing, std::move(kinds), 1}; }
};

TEST(ImageStream, IsAFunctionOfImageAndStepAlone) {
  const StreamSetting setting;
  const ImageStream stream = setting.stream({"stored", "leaves", "pink"});
  const Tensor together = images_of_step(stream, {3, 5, 7}, 4);
  EXPECT_TRUE(at::equal(together[1], images_of_step(stream, {5}, 4)[0]));
  EXPECT_FALSE(at::equal(together[1], images_of_step(stream, {5}, 5)[0]));
  EXPECT_FALSE(at::equal(together[1], together[2]));
}

// Shifting and mirroring keep every value of an image.
TEST(ImageStream, StoredImagesKeepTheirPixels) {
  const StreamSetting setting;
  const Tensor before = normalise(setting.preprocessing, setting.images.bytes[2].unsqueeze(0));
  std::set<double> places;
  for (int64_t step = 0; step < 8; ++step) {
    const Tensor after = images_of_step(setting.stream({"stored"}), {2}, step);
    EXPECT_TRUE(at::equal(std::get<0>(before.flatten().sort()), std::get<0>(after.flatten().sort())));
    places.insert(after.flatten()[0].item<double>());
  }
  EXPECT_GT(places.size(), 3U);
}

TEST(ImageStream, DrawsEveryKind) {
  const StreamSetting setting;
  int64_t stored = 0;
  const Tensor sorted = std::get<0>(normalise(setting.preprocessing, setting.images.bytes[0].unsqueeze(0)).flatten().sort());
  for (int64_t step = 0; step < 60; ++step) {
    const Tensor image = images_of_step(setting.stream({"stored", "pink"}), {0}, step);
    stored += at::equal(std::get<0>(image.flatten().sort()), sorted);
  }
  EXPECT_GT(stored, 15);
  EXPECT_LT(stored, 45);
}

}  // namespace
}  // namespace eidolon
