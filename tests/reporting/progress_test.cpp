#include <gtest/gtest.h>

#include <cmath>

#include "reporting/progress_text.h"

namespace eidolon {
namespace {

const ProgressState half_way{"synthesize", "views", 256, 128, 96, 10, {{"loss", 1.234567}, {"prior", 3e-4}}};

TEST(ProgressText, GivesRateOfThisRunAndTimeLeft) {
  EXPECT_EQ(progress_line(half_way), "synthesize: 128/256 views (50 %), 3.2 views/s, 40 s left, loss 1.235, prior 0.0003");
}

TEST(ProgressText, PromisesNothingBeforeTheFirstStep) {
  EXPECT_EQ(progress_line({"synthesize", "views", 256, 96, 96, 10, {}}), "synthesize: 96/256 views (37 %)");
}

TEST(ProgressText, SaysHowLongItTook) {
  EXPECT_EQ(progress_line({"finetune", "steps", 100, 100, 0, 200, {}}),
            "finetune: 100/100 steps (100 %), 0.5 steps/s, took 3:20 min");
}

TEST(ProgressText, SaysOfAFigureThatIsNoNumberThatItIsNone) {
  EXPECT_EQ(progress_line({"s", "u", 2, 0, 0, 0, {{"loss", -std::nan("")}, {"prior", HUGE_VAL}}}),
            "s: 0/2 u (0 %), loss not finite, prior not finite");
}

TEST(ProgressText, SurvivesNoWorkAndTooMuch) {
  EXPECT_EQ(progress_line({"s", "u", 0, 0, 0, 0, {}}), "s: 0/0 u (100 %)");
  EXPECT_EQ(progress_line({"s", "u", 2, 3, 0, 1, {}}), "s: 3/2 u (100 %), 3 u/s, took 1 s");
}

TEST(ProgressText, DrawsABarThatFitsTheTerminal) {
  EXPECT_EQ(progress_bar(half_way, 200),
            "synthesize [============>           ]  50 % 128/256 views  3.2 views/s  40 s left  loss 1.235  prior 0.0003");
  EXPECT_EQ(progress_bar(half_way, 96).size(), 96);  // by a shorter bar, not by fewer figures
  EXPECT_NE(progress_bar(half_way, 96).find("prior 0.0003"), std::string::npos);
  EXPECT_EQ(progress_bar(half_way, 20).size(), 20);
  EXPECT_EQ(progress_bar(half_way, 0), "");
}

TEST(ProgressText, WritesDurations) {
  EXPECT_EQ(duration_text(0.4), "0 s");
  EXPECT_EQ(duration_text(59.6), "1:00 min");
  EXPECT_EQ(duration_text(187), "3:07 min");
  EXPECT_EQ(duration_text(7500), "2:05 h");
  EXPECT_EQ(duration_text(273600), "3 d 04 h");
  EXPECT_EQ(duration_text(std::nan("")), "?");
  EXPECT_EQ(duration_text(-1), "?");
}

// Captured output is no terminal: a line at the start and one at the end, the steps between being too quick for more.
TEST(Progress, WritesPlainLinesToAFile) {
  ::testing::internal::CaptureStderr();
  {
    Progress progress("synthesize", 4, "images", true);
    progress.done_before(2);
    progress.advance(1, {{"loss", 2.5}});
    progress.advance(1);
  }
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.find("synthesize: 0/4 images (0 %)\n"), 0) << text;
  EXPECT_NE(text.find("\nsynthesize: 4/4 images (100 %), "), std::string::npos) << text;
  EXPECT_NE(text.find(", loss 2.5\n"), std::string::npos) << text;
  EXPECT_EQ(text.find('\r'), std::string::npos) << text;
}

TEST(Progress, IsSilentWhenNotVisible) {
  ::testing::internal::CaptureStderr();
  { Progress("synthesize", 4, "images", false).advance(1); }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace eidolon
