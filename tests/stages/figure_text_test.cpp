#include "stages/figure_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "stages/held_out_figures.h"

namespace eidolon {
namespace {

const Figure whole{0.983287, 0.0068}, without_error{0.25, std::nullopt, "one image"},
    absent{std::nullopt, std::nullopt, "no image"};

TEST(FigureText, LeavesOutWhatIsNotDefinedAndSaysWhy) {
  EXPECT_EQ(percent_text(whole), " 98.33 +- 0.68 %");
  EXPECT_EQ(percent_text(absent), "not defined (no image)");
  EXPECT_EQ(nats_text(without_error), "0.2500 (error not defined: one image)");
}

TEST(FigureText, JsonHasNoKeyForWhatIsNotDefined) {
  const nlohmann::ordered_json json = json_of({{"top1", whole}, {"kl", without_error}, {"kept", absent}});
  EXPECT_EQ(json.dump(), R"({"top1":0.983287,"top1_se":0.0068,"kl":0.25,"undefined":{"kl_se":"one image","kept":"no image"}})");
  EXPECT_FALSE(json_of({{"top1", whole}}).contains("undefined"));
}

TEST(HeldOutText, ABlockWithoutNoiseHasNoRatio) {
  const HeldOutFigures figures{8, {}, whole, without_error, {}, {std::nullopt, 31.25}};
  const nlohmann::ordered_json json = json_of(figures);
  EXPECT_EQ(json.at("sqnr_db_per_block").dump(), "[null,31.25]");
  EXPECT_TRUE(json.at("undefined").contains("sqnr_db_per_block"));
  EXPECT_NE(describe("student", figures).find("SQNR per block, dB: (no noise) 31.2"), std::string::npos);
}

}  // namespace
}  // namespace eidolon
