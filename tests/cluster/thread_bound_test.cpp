#include "cluster/thread_bound.h"

#include <gtest/gtest.h>

namespace eidolon {
namespace {

ThreadBound bound(int64_t cores, int64_t ranks_on_cores, const std::string& omp_num_threads, std::optional<double> quota = {},
                  int64_t ranks_on_host = 1) {
  return bound_threads({cores, ranks_on_cores, ranks_on_host, omp_num_threads, quota});
}

TEST(ThreadBound, IsTheShareOfTheCores) {
  EXPECT_EQ(bound(16, 1, "").threads, 16);
  EXPECT_EQ(bound(16, 3, "").threads, 5);
  EXPECT_EQ(bound(2, 4, "").threads, 1);
  EXPECT_EQ(bound(2, 4, "").by, "cores");
}

TEST(ThreadBound, IsNoMoreThanOpenMpIsGranted) {
  EXPECT_EQ(bound(16, 1, "4").threads, 4);
  EXPECT_EQ(bound(16, 1, "4").by, "OMP_NUM_THREADS");
  EXPECT_EQ(bound(16, 1, " 4,2").threads, 4) << "of the first level";
  EXPECT_EQ(bound(16, 8, "4").threads, 2) << "cores that others use are not granted by it";
  EXPECT_EQ(bound(16, 8, "4").by, "cores");
}

TEST(ThreadBound, IgnoresWhatIsNoPositiveNumber) {
  for (const char* text : {"0", "-3", "many", "4x", " ", ",", "99999999999999999999"}) {
    EXPECT_EQ(bound(16, 1, text).threads, 16) << text;
  }
}

TEST(ThreadBound, IsNoMoreThanTheQuotaOfTheHostGivesEachRank) {
  EXPECT_EQ(bound(64, 1, "", 4.0).threads, 4);
  EXPECT_EQ(bound(64, 1, "", 2.9).threads, 2);
  EXPECT_EQ(bound(64, 1, "", 2.9).by, "CPU quota of 2.9 cores");
  EXPECT_EQ(bound(64, 4, "", 7.0, 4).threads, 1);
  EXPECT_EQ(bound(64, 1, "", 0.5).threads, 1) << "at least one";
  EXPECT_EQ(bound(64, 1, "2", 4.0).by, "OMP_NUM_THREADS");
  EXPECT_EQ(bound(2, 1, "", 4.0).by, "cores");
  EXPECT_EQ(bound(64, 1, "", 1e300).threads, 64);
}

}  // namespace
}  // namespace eidolon
