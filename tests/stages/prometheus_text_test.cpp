#include "stages/prometheus_text.h"

#include <gtest/gtest.h>

namespace eidolon {
namespace {

// The official parser reads such texts in tests/end_to_end/watch_test.py, where it is installed.
RunStatus launched(LaunchStatus::State state) {
  RunStatus status;
  status.synthesis = {.shards = 1, .units = 4, .first_missing = 16, .views = 400, .views_left = 300, .views_per_second = 10};
  const Beat beat{.rank = 3, .host = "n1", .stage = "synthesize", .detail = "", .time = 1.75e9, .rate = 10, .unit = "views"};
  status.launches = {{.state = state, .name = "launch", .ranks = {beat}}};
  return status;
}

bool has(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(PrometheusText, StatesWhatARunningLaunchDoes) {
  const std::string text = prometheus_text("/runs/digits", launched(LaunchStatus::State::running));
  const std::string common = R"(job="digits",run="/runs/digits")";
  EXPECT_TRUE(has(text, "# TYPE eidolon_stage_done gauge")) << text;
  EXPECT_TRUE(has(text, "eidolon_running{" + common + "} 1")) << text;
  EXPECT_TRUE(has(text, "eidolon_stage_done{" + common + R"(,stage="synthesize",unit="shards"} 1)")) << text;
  EXPECT_TRUE(has(text, "eidolon_stage_done{" + common + R"(,stage="synthesize",unit="views"} 100)")) << text;
  EXPECT_TRUE(has(text, "eidolon_stage_seconds_left{" + common + R"(,stage="synthesize"} 30)")) << text;
  EXPECT_TRUE(has(text, "eidolon_heartbeat_timestamp_seconds{" + common + R"(,launch="launch",rank="3",host="n1"} 1750000000)"))
      << text;
  EXPECT_EQ(text.find("data_free"), std::string::npos) << "nothing says whether it is";
}

TEST(PrometheusText, ASilentLaunchKeepsItsHeartbeatsAndAnEndedOneDoesNot) {
  const std::string silent = prometheus_text("/runs/digits", launched(LaunchStatus::State::silent));
  EXPECT_NE(silent.find("eidolon_heartbeat_timestamp_seconds{"), std::string::npos);
  EXPECT_EQ(silent.find("eidolon_stage_rate"), std::string::npos);
  const std::string ended = prometheus_text("/runs/digits", launched(LaunchStatus::State::ended));
  EXPECT_EQ(ended.find("eidolon_heartbeat_timestamp_seconds"), std::string::npos);
}

TEST(PrometheusText, UnitsAreNoLabels) {
  RunStatus status = launched(LaunchStatus::State::running);
  status.losses = {{.stage = "synthesize/unit 16", .step = 20, .term = "teacher", .value = 0.5}};
  status.data_free = false;
  const std::string text = prometheus_text("/runs/digits", status);
  EXPECT_TRUE(has(text, R"(eidolon_loss{job="digits",run="/runs/digits",stage="synthesize",term="teacher"} 0.5)")) << text;
  EXPECT_TRUE(has(text, R"(eidolon_data_free{job="digits",run="/runs/digits"} 0)")) << text;
}

TEST(PrometheusText, EscapesLabels) {
  const std::string text = prometheus_text("/r/a\"b\\c\nd\xff", RunStatus());
  EXPECT_NE(text.find("job=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\""), std::string::npos) << text;
}

}  // namespace
}  // namespace eidolon
