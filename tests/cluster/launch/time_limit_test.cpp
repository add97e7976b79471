#include "cluster/launch/time_limit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "cluster/liveness/heartbeat.h"

namespace eidolon {
namespace {

class TimeLimit : public ::testing::Test {
 protected:
  void SetUp() override { TearDown(); }
  void TearDown() override {
    unsetenv("EIDOLON_END_TIME");
    unsetenv("SLURM_JOB_END_TIME");
  }
};

TEST_F(TimeLimit, IsNoneOutsideABatchJob) {
  EXPECT_TRUE(std::isinf(end_of_allocation()));
  EXPECT_TRUE(std::isinf(time_to_stop(120)));
}

TEST_F(TimeLimit, IsSlurmsUnlessTheUserSaysOtherwise) {
  setenv("SLURM_JOB_END_TIME", "1795273000", 1);
  EXPECT_EQ(end_of_allocation(), 1795273000);
  setenv("EIDOLON_END_TIME", "1795272000", 1);
  EXPECT_EQ(end_of_allocation(), 1795272000);
  setenv("EIDOLON_END_TIME", "", 1);
  EXPECT_EQ(end_of_allocation(), 1795273000);
}

TEST_F(TimeLimit, ThatIsNoTimeIsRefused) {
  for (const char* text : {"soon", "12x", "-5", "nan"}) {
    setenv("EIDOLON_END_TIME", text, 1);
    EXPECT_THROW(end_of_allocation(), BadInput) << text;
  }
}

TEST_F(TimeLimit, LeavesTheMarginOrAQuarterOfAShortJob) {
  const double now = unix_seconds();
  setenv("EIDOLON_END_TIME", std::to_string(now + 3600).c_str(), 1);
  EXPECT_NEAR(time_to_stop(120), now + 3480, 5);
  setenv("EIDOLON_END_TIME", std::to_string(now + 100).c_str(), 1);
  EXPECT_NEAR(time_to_stop(120), now + 75, 5);
  setenv("EIDOLON_END_TIME", std::to_string(now - 100).c_str(), 1);
  EXPECT_NEAR(time_to_stop(120), now - 100, 5);
}

}  // namespace
}  // namespace eidolon
