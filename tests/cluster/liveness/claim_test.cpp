#include "cluster/liveness/claim.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "cluster/liveness/heartbeat.h"
#include "storage/atomic_file.h"
#include "tests/storage/temporary_folder.h"

namespace eidolon {
namespace {

class Claims : public ::testing::Test {
 protected:
  testing::TemporaryFolder folder;
  std::filesystem::path file = folder / "unit.claim.json";
  std::filesystem::path heartbeats = folder / "heartbeat";

  Claimant claimant(const std::string& launch, int rank = 0) {
    return {launch, rank, this_process(), (heartbeats / launch).string()};
  }
  /// On another machine: whether its process runs cannot be seen.
  Claimant remote(const std::string& launch) {
    Claimant other = claimant(launch);
    other.process.host = "elsewhere";
    other.process.space = "another boot";
    return other;
  }
  std::optional<Claim> take(const Claimant& self) { return Claim::take(file, self, 60); }
  void beat_of(const std::string& launch, double age, bool ended = false) {
    std::filesystem::create_directories(heartbeats / launch);
    Beat beat{0, "elsewhere", 1, "synthesize", "", 0, unix_seconds() - age};
    beat.ended = ended;
    write_beat(heartbeats / launch, beat);
  }
  /// Makes the claim look `age` seconds old, and keeps it.
  void leave(const Claimant& holder, double age) {
    auto claim = take(holder);
    ASSERT_TRUE(claim.has_value());
    std::string text = read_text(file);
    const size_t begin = text.find("since\": ") + 8, end = text.find_first_of(",\n", begin);
    text.replace(begin, end - begin, std::to_string(unix_seconds() - age));
    std::filesystem::remove(file);
    claim.reset();
    write_text_atomically(file, text);
  }
};

TEST_F(Claims, SayWhatTheirHolderMakesForAsLongAsItLives) {
  Claimant holder = claimant("a");
  holder.work = R"({"seed":1})";
  {
    const auto claim = take(holder);
    const auto living = living_holder_of(file, claimant("b"), 60);
    ASSERT_TRUE(living.has_value());
    EXPECT_EQ(living->launch, "a");
    EXPECT_EQ(living->work, holder.work);
  }
  EXPECT_FALSE(living_holder_of(file, claimant("b"), 60).has_value()) << "given back";
  leave(remote("c"), 30);
  EXPECT_TRUE(living_holder_of(file, claimant("b"), 60).has_value());
  std::filesystem::remove(file);
  leave(remote("d"), 90);
  EXPECT_FALSE(living_holder_of(file, claimant("b"), 60).has_value()) << "gone stale";
}

TEST_F(Claims, AreHeldByOneAndGivenBack) {
  {
    const auto first = take(claimant("a"));
    ASSERT_TRUE(first.has_value());
    EXPECT_TRUE(first->still_held());
    EXPECT_FALSE(take(claimant("b")).has_value());
    EXPECT_EQ(holder_of(file)->launch, "a");
  }
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_TRUE(take(claimant("b")).has_value());
}

TEST_F(Claims, OfADeadProcessAreTakenOverAtOnce) {
  const pid_t child = fork();
  if (child == 0) {
    auto claim = take(claimant("dead"));
    _exit(claim.has_value() ? 0 : 1);  // without giving it back
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  ASSERT_EQ(holder_of(file)->process.pid, child);
  const auto claim = take(claimant("next"));
  ASSERT_TRUE(claim.has_value());
  EXPECT_EQ(holder_of(file)->launch, "next");
}

TEST_F(Claims, OfAnotherMachineHoldWhileItIsHeardOf) {
  leave(remote("far"), 1000);
  beat_of("far", 10);
  EXPECT_FALSE(take(claimant("near")).has_value());
  beat_of("far", 70);
  EXPECT_TRUE(take(claimant("near")).has_value());
}

TEST_F(Claims, OfAnotherMachineHoldWhileTheyAreYoungWithoutAHeartbeat) {
  leave(remote("far"), 10);
  EXPECT_FALSE(take(claimant("near")).has_value());
  std::filesystem::remove(file);
  leave(remote("far"), 70);
  EXPECT_TRUE(take(claimant("near")).has_value());
}

// A clock that runs ahead must not hold a claim until the others have caught up.
TEST_F(Claims, DatedFurtherAheadThanTheyMayBeOldAreFree) {
  leave(remote("far"), -70);
  beat_of("far", -1e12);
  EXPECT_TRUE(take(claimant("near")).has_value());
}

TEST_F(Claims, OfAClockThatRunsALittleAheadHold) {
  leave(remote("far"), -50);
  EXPECT_FALSE(take(claimant("near")).has_value());
  std::filesystem::remove(file);
  leave(remote("far"), -1e12);
  beat_of("far", -50);
  EXPECT_FALSE(take(claimant("near")).has_value());
}

TEST_F(Claims, WithATimeThatIsNoneAreFreeOnceTheirFileIsOld) {
  for (const char* time : {"1e12", "1e999", "null"}) {
    SCOPED_TRACE(time);
    leave(remote("far"), 0);
    std::string text = read_text(file);
    const size_t begin = text.find("since\": ") + 8, end = text.find_first_of(",\n", begin);
    write_text_atomically(file, text.replace(begin, end - begin, time));
    std::filesystem::last_write_time(file, std::filesystem::file_time_type::clock::now() - std::chrono::minutes(10));
    EXPECT_TRUE(take(claimant("near")).has_value());
  }
}

TEST_F(Claims, ThatCannotBeReadAndAreDatedAheadAreFree) {
  std::ofstream(file) << "{ torn";
  std::filesystem::last_write_time(file, std::filesystem::file_time_type::clock::now() + std::chrono::hours(24));
  EXPECT_TRUE(take(claimant("a")).has_value());
}

// The folder may have a name of any bytes, which JSON cannot hold as they are.
TEST_F(Claims, OfAnotherMachineHoldByAHeartbeatInAFolderOfAnyName) {
  heartbeats = folder /
               "gr\xf6\xdf"
               "e 100%";
  leave(remote("far"), 1000);
  EXPECT_EQ(holder_of(file)->heartbeats, (heartbeats / "far").string());
  beat_of("far", 10);
  EXPECT_FALSE(take(claimant("near")).has_value());
}

TEST_F(Claims, OfALaunchThatSaidItEndedAreFree) {
  leave(remote("far"), 10);
  beat_of("far", 5, true);
  EXPECT_TRUE(take(claimant("near")).has_value());
}

TEST_F(Claims, OfAnEarlierStartOfTheSameSlurmJobAreFree) {
  Claimant before = remote("far"), now = claimant("near");
  before.process.slurm_job = now.process.slurm_job = "17";
  now.process.slurm_restart = 1;
  leave(before, 1);
  beat_of("far", 1);
  EXPECT_TRUE(take(now).has_value());
}

TEST_F(Claims, ThatCannotBeReadHoldUntilTheyAreOld) {
  std::ofstream(file) << "{ torn";
  EXPECT_FALSE(take(claimant("a")).has_value());
  std::filesystem::last_write_time(file, std::filesystem::file_time_type::clock::now() - std::chrono::minutes(10));
  EXPECT_TRUE(take(claimant("a")).has_value());
}

TEST_F(Claims, KnowThatTheyWereTakenOver) {
  auto first = take(claimant("a"));
  std::filesystem::remove(file);
  const auto second = take(claimant("b"));
  ASSERT_TRUE(second.has_value());
  EXPECT_FALSE(first->still_held());
  first.reset();
  EXPECT_TRUE(second->still_held()) << "the first must not remove what is no longer its own";
}

TEST(ProcessIdentity, KnowsThatThisProcessRuns) {
  const ProcessIdentity own = this_process();
  EXPECT_EQ(own.pid, getpid());
  EXPECT_EQ(life_of(own, own), Life::running);
  ProcessIdentity reused = own;
  reused.started += 1;
  EXPECT_EQ(life_of(reused, own), Life::gone) << "the same pid, begun at another time";
}

TEST(ProcessIdentity, OfAnUnreapedProcessIsGone) {
  const pid_t child = fork();
  if (child == 0) pause();
  ProcessIdentity mark = this_process();
  mark.pid = child;
  std::ifstream stat("/proc/" + std::to_string(child) + "/stat");
  std::string field;
  for (int number = 1; number <= 22; ++number) stat >> field;
  mark.started = std::stoll(field);
  EXPECT_EQ(life_of(mark, this_process()), Life::running);
  kill(child, SIGKILL);
  siginfo_t info{};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(life_of(mark, this_process()), Life::gone);
  waitpid(child, nullptr, 0);
}

}  // namespace
}  // namespace eidolon
