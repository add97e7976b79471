#include "cluster/watchdog.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "cluster/collective_clock.h"
#include "cluster/heartbeat.h"
#include "cluster/heartbeat_file.h"

namespace eidolon {
namespace {

class Watchdog : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder); }
  void TearDown() override { std::filesystem::remove_all(folder); }
  void beat(int rank, int64_t collective, double time) {
    write_beat(folder, {rank, "node" + std::to_string(rank), 100 + rank, "finetune", "step 40", collective, time});
  }
  bool blames(const std::string& line, int rank) { return line.find("rank " + std::to_string(rank)) != std::string::npos; }

  std::filesystem::path folder = std::filesystem::temp_directory_path() / ("eidolon-watchdog-" + std::to_string(getpid()));
};

TEST_F(Watchdog, NamesTheRankAtALowerCollective) {
  beat(0, 17, 1000);
  beat(1, 16, 1000);
  beat(2, 18, 1000);
  const std::string line = ranks_behind(folder, 3, 17, 1001, 30);
  EXPECT_EQ(line, "behind: rank 1 on node1 (pid 101), collective 16, finetune step 40, heard of 1 s ago");
}

TEST_F(Watchdog, NamesStaleMissingAndTornHeartbeats) {
  beat(0, 17, 1000);
  beat(1, 17, 900);
  std::ofstream(beat_file(folder, 3)) << "{\"rank\":";
  const std::string line = ranks_behind(folder, 4, 17, 1001, 30);
  EXPECT_FALSE(blames(line, 0)) << line;
  EXPECT_TRUE(blames(line, 1)) << line;
  EXPECT_TRUE(blames(line, 2)) << line;
  EXPECT_TRUE(blames(line, 3)) << line;
}

TEST_F(Watchdog, BlamesNobodyWhenAllAreThere) {
  beat(0, 17, 1000);
  beat(1, 17, 1000);
  EXPECT_EQ(ranks_behind(folder, 2, 17, 1001, 30), "no rank is behind, so the network or the library hangs");
}

TEST_F(Watchdog, ReadsBackWhatARankSaid) {
  {
    Heartbeat heartbeat(folder / "made", 3, 4, 600);
    heartbeat.set({"synthesize", "unit 16 \xff"});  // not UTF-8: replaced, never thrown
  }
  const auto beat = read_beat(beat_file(folder / "made", 3));
  ASSERT_TRUE(beat.has_value());
  EXPECT_EQ(beat->rank, 3);
  EXPECT_EQ(beat->pid, getpid());
  EXPECT_EQ(beat->stage, "synthesize");
  EXPECT_EQ(beat->collective, collective_clock::entered());
}

TEST(StuckTime, GrowsOnlyInsideTheSameCollective) {
  StuckTime stuck(1);
  EXPECT_EQ(stuck.tick(1, 5, 5), 0);  // between collectives
  EXPECT_EQ(stuck.tick(1, 5, 5), 0);
  EXPECT_EQ(stuck.tick(1, 6, 5), 0);  // just entered
  EXPECT_EQ(stuck.tick(1, 6, 5), 1);
  EXPECT_EQ(stuck.tick(1, 6, 5), 2);
  EXPECT_EQ(stuck.tick(1, 7, 6), 0);  // moved on
}

TEST(StuckTime, DoesNotCountASuspendedJob) {
  StuckTime stuck(1);
  stuck.tick(1, 6, 5);
  EXPECT_EQ(stuck.tick(3600, 6, 5), 2);
}

}  // namespace
}  // namespace eidolon
