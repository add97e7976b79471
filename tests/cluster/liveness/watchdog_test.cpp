#include "cluster/liveness/watchdog.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "cluster/liveness/collective_clock.h"
#include "cluster/liveness/heartbeat.h"

namespace eidolon {
namespace {

class Watchdog : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder); }
  void TearDown() override { std::filesystem::remove_all(folder); }
  void beat(int rank, int64_t collective, double time, int64_t pulses = 0) {
    Beat beat{rank, "node" + std::to_string(rank), 100 + rank, "finetune", "step 40", collective, time};
    beat.pulses = pulses;
    write_beat(folder, beat);
  }
  std::string line_of(int size, int64_t collective) { return describe(ranks_behind(folder, size, collective, 1001, 30), 1001); }
  bool blames(const std::string& line, int rank) { return line.find("rank " + std::to_string(rank)) != std::string::npos; }

  std::filesystem::path folder = std::filesystem::temp_directory_path() / ("eidolon-watchdog-" + std::to_string(getpid()));
};

TEST_F(Watchdog, NamesTheRankAtALowerCollective) {
  beat(0, 17, 1000);
  beat(1, 16, 1000);
  beat(2, 18, 1000);
  const std::string line = line_of(3, 17);
  EXPECT_EQ(line, "behind: rank 1 on node1 (pid 101), collective 16, finetune step 40, heard of 1 s ago");
}

TEST_F(Watchdog, NamesStaleMissingAndTornHeartbeats) {
  beat(0, 17, 1000);
  beat(1, 17, 900);
  std::ofstream(beat_file(folder, 3)) << "{\"rank\":";
  const std::string line = line_of(4, 17);
  EXPECT_FALSE(blames(line, 0)) << line;
  EXPECT_TRUE(blames(line, 1)) << line;
  EXPECT_TRUE(blames(line, 2)) << line;
  EXPECT_TRUE(blames(line, 3)) << line;
}

TEST_F(Watchdog, DoesNotTakeADateAheadForASignOfLife) {
  beat(0, 17, 1000);
  beat(1, 17, 1e12);
  beat(2, 17, 1020);
  const std::string line = line_of(3, 17);
  EXPECT_TRUE(blames(line, 1)) << line;
  EXPECT_FALSE(blames(line, 2)) << "a clock a little ahead: " << line;
}

TEST_F(Watchdog, BlamesNobodyWhenAllAreThere) {
  beat(0, 17, 1000);
  beat(1, 17, 1000);
  EXPECT_EQ(line_of(2, 17), "no rank is behind, so the network or the library hangs");
}

TEST_F(Watchdog, SparesARankThatIsOnlySlow) {
  beat(0, 17, 1000);
  beat(1, 16, 1000, 5);
  beat(2, 16, 1000, 8);
  const std::vector<int64_t> before = pulses_of(folder, 4);
  EXPECT_EQ(before, (std::vector<int64_t>{0, 5, 8, -1}));
  beat(1, 16, 1000, 6);
  const auto hung = without_sign_of_life(ranks_behind(folder, 4, 17, 1001, 30), before);
  ASSERT_EQ(hung.size(), 2u);
  EXPECT_EQ(hung[0].rank, 2);
  EXPECT_EQ(hung[1].rank, 3);
}

TEST_F(Watchdog, ForgetsLaunchesThatEndedOrFellSilent) {
  const auto launch = [&](const std::string& name, double age, bool ended) {
    std::filesystem::create_directories(folder / name);
    Beat beat{0, "node", 1, "finetune", "", 1, unix_seconds() - age};
    beat.ended = ended;
    write_beat(folder / name, beat);
  };
  launch("ended", 100, true);
  launch("just ended", 1, true);
  launch("silent for long", 4000, false);
  launch("silent", 100, false);
  launch("dated ahead", -4000, false);
  std::filesystem::create_directories(folder / "just begun");
  forget_old_heartbeats(folder);
  EXPECT_FALSE(std::filesystem::exists(folder / "ended"));
  EXPECT_FALSE(std::filesystem::exists(folder / "silent for long"));
  EXPECT_FALSE(std::filesystem::exists(folder / "dated ahead"));
  for (const char* name : {"just ended", "silent", "just begun"}) EXPECT_TRUE(std::filesystem::exists(folder / name)) << name;
}

TEST_F(Watchdog, TellsANewStageAtOnce) {
  Heartbeat heartbeat(folder, 0, 1, 600);
  heartbeat.set({"synthesize", "unit 16"});
  for (int i = 0; i < 100 && read_beat(beat_file(folder, 0))->stage.empty(); ++i) usleep(50'000);
  EXPECT_EQ(read_beat(beat_file(folder, 0))->stage, "synthesize");
}

TEST_F(Watchdog, ReadsBackWhatARankSaid) {
  {
    Heartbeat heartbeat(folder / "made", 3, 4, 600);
    heartbeat.set({"synthesize", "unit 16 \xff", 3, 12, 1.5, "views"});  // not UTF-8: replaced, never thrown
  }
  const auto beat = read_beat(beat_file(folder / "made", 3));
  ASSERT_TRUE(beat.has_value());
  EXPECT_EQ(beat->rank, 3);
  EXPECT_EQ(beat->pid, getpid());
  EXPECT_EQ(beat->stage, "synthesize");
  EXPECT_EQ(beat->collective, collective_clock::entered());
  EXPECT_EQ(beat->done, 3);
  EXPECT_EQ(beat->total, 12);
  EXPECT_EQ(beat->rate, 1.5);
  EXPECT_EQ(beat->unit, "views");
  EXPECT_TRUE(beat->ended);
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
