#include "model/preprocessing.h"

#include <gtest/gtest.h>

#include "model/loading/config.h"
#include "tests/model/model_data.h"

namespace eidolon {
namespace {

Preprocessing imagenet() {
  return {224, {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}, 0.9, "bicubic"};
}

TEST(Preprocessing, EveryByteSurvivesNormalisationAndBack) {
  const Tensor bytes = at::arange(256, at::kByte).reshape({1, 1, 16, 16}).expand({2, 3, 16, 16}).contiguous();
  for (const Preprocessing& p : {Preprocessing{}, imagenet(), Preprocessing{32, {0, 0, 0}, {1, 1, 1}, 1.0, "bilinear"}}) {
    EXPECT_TRUE(at::equal(to_bytes(p, normalise(p, bytes)), bytes));
  }
}

TEST(Preprocessing, SubtractsTheMeanAndDividesByTheDeviationOfEachChannel) {
  const Tensor normalised = normalise(imagenet(), at::full({1, 3, 1, 1}, 51, at::kByte));
  EXPECT_NEAR(normalised[0][0].item<double>(), (0.2 - 0.485) / 0.229, 1e-6);
  EXPECT_NEAR(normalised[0][1].item<double>(), (0.2 - 0.456) / 0.224, 1e-6);
  EXPECT_NEAR(normalised[0][2].item<double>(), (0.2 - 0.406) / 0.225, 1e-6);
}

TEST(Preprocessing, BytesAreRoundedToTheNearestAndClipped) {
  const Preprocessing unit{32, {0.0}, {1.0}, 1.0, "bicubic"};
  const Tensor values = at::tensor({-3.0f, 10.4f / 255, 10.6f / 255, 7.0f}).reshape({1, 1, 2, 2});
  EXPECT_TRUE(at::equal(to_bytes(unit, values).reshape(-1), at::tensor(std::vector<int64_t>{0, 10, 11, 255}, at::kByte)));
}

TEST(Preprocessing, JsonIsCanonicalAndReadBack) {
  const std::string json = to_json(imagenet());
  EXPECT_EQ(json,
            "{\"crop_offset\":\"to even\",\"crop_pct\":0.9,\"image_size\":224,\"interpolation\":\"bicubic\","
            "\"mean\":[0.485,0.456,0.406],\"resize\":\"shorter side\",\"std\":[0.229,0.224,0.225]}");
  EXPECT_EQ(to_json(preprocessing_from_json(json)), json);
  const Preprocessing squashed{32, {0.5}, {0.25}, 1.0, "lanczos", "both sides", "down"};
  EXPECT_EQ(to_json(preprocessing_from_json(to_json(squashed))), to_json(squashed));
  EXPECT_NE(to_json(squashed).find("both sides"), std::string::npos);
}

TEST(Preprocessing, OfTheRealModelsIsReadFromTheirConfig) {
  const auto folder = testing::real_model("deit_tiny_patch16_224");
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is absent; set EIDOLON_DATA to the folder with models/";
  const ModelConfig config = read_model_config(folder);
  EXPECT_EQ(config.preprocessing.mean, imagenet().mean);
  EXPECT_EQ(config.preprocessing.std, imagenet().std);
  EXPECT_EQ(config.preprocessing.crop_pct, 0.9);
  EXPECT_EQ(config.preprocessing.interpolation, "bicubic");
}

}  // namespace
}  // namespace eidolon
