#include "cluster/agreement.h"

#include <gtest/gtest.h>

#include "cluster/collective_timing.h"
#include "cluster/on_root.h"
#include "cluster/rank_table.h"

namespace eidolon {
namespace {

TEST(Agreement, PassesEqualTexts) {
  const Communicator communicator = Communicator::world();
  EXPECT_NO_THROW(require_same(communicator, "the job", "a\nb\n", "do something"));
}

TEST(Agreement, NamesTheRankTheLineAndTheRemedy) {
  const Communicator communicator = Communicator::world();
  if (communicator.size() == 1) GTEST_SKIP() << "needs two ranks";
  const bool last = communicator.rank() == communicator.size() - 1;
  try {
    require_same(communicator, "the job", last ? "a\nc\n" : "a\nb\n", "start all alike");
    ADD_FAILURE() << "no error";
  } catch (const ErrorOnRoot& error) {
    EXPECT_NE(communicator.rank(), 0);
    EXPECT_EQ(error.code(), ExitCode::bad_input);
  } catch (const Error& error) {
    EXPECT_EQ(communicator.rank(), 0);
    EXPECT_EQ(error.code(), ExitCode::bad_input);
    const std::string text = error.what();
    EXPECT_NE(text.find("rank " + std::to_string(communicator.size() - 1)), std::string::npos) << text;
    EXPECT_NE(text.find("'c' against 'b'"), std::string::npos) << text;
    EXPECT_NE(text.find("start all alike"), std::string::npos) << text;
  }
}

TEST(Agreement, SeesAMissingLine) {
  const Communicator communicator = Communicator::world();
  if (communicator.size() == 1) GTEST_SKIP() << "needs two ranks";
  EXPECT_THROW(require_same(communicator, "the job", communicator.rank() == 1 ? "a\n" : "a\nb\n", ""), Error);
}

TEST(Agreement, FingerprintsAreFull) {
  EXPECT_EQ(program_fingerprint("1.0").size(), std::string("eidolon 1.0\nsha256 ").size() + 64);
  EXPECT_EQ(libtorch_fingerprint().find("libtorch 2."), 0u);
  EXPECT_EQ(libtorch_fingerprint().find("CPU capability"), std::string::npos);
  EXPECT_NE(cpu_capability(), "unknown");
}

TEST(RankTable, PutsNeighboursAlikeOnOneLine) {
  const Communicator communicator = Communicator::world();
  const int rank = communicator.rank();
  Placement placement;
  placement.host = rank < 2 ? "n1" : "n2";
  placement.cores = std::to_string(2 * rank) + "-" + std::to_string(2 * rank + 1);
  placement.threads = 2;
  const std::vector<std::string> lines = rank_table(communicator, placement);
  if (communicator.size() == 1) {
    EXPECT_EQ(lines, std::vector<std::string>{"rank 0 on n1: cpu, 2 threads each; cores 0-1"});
  } else if (communicator.size() == 4) {
    const std::vector<std::string> expected{"ranks 0-1 on n1: cpu, 2 threads each; cores 0-1, cores 2-3",
                                            "ranks 2-3 on n2: cpu, 2 threads each; cores 4-5, cores 6-7"};
    EXPECT_EQ(lines, expected);
  }
}

TEST(RankTable, SaysWhatBoundTheThreads) {
  const Communicator communicator = Communicator::world();
  Placement placement;
  placement.host = "n1";
  placement.cores = "0-63";
  placement.threads_bound_by = "CPU quota of 1.5 cores";
  const std::string line = rank_table(communicator, placement).at(0);
  EXPECT_NE(line.find(" on n1: cpu, 1 thread each (CPU quota of 1.5 cores); cores 0-63"), std::string::npos) << line;
}

TEST(RankTable, WritesNumbersAsRanges) {
  EXPECT_EQ(number_ranges({}), "");
  EXPECT_EQ(number_ranges({3}), "3");
  EXPECT_EQ(number_ranges({0, 1, 2, 5, 7, 8}), "0-2,5,7-8");
}

TEST(CollectiveTiming, GivesATimeForEachSize) {
  const Communicator communicator = Communicator::world();
  const auto timings = time_all_reduce(communicator, at::kCPU);
  ASSERT_EQ(timings.size(), 7u);
  EXPECT_EQ(timings.front().bytes, 4);
  EXPECT_EQ(timings.back().bytes, 64 << 20);
  for (const CollectiveTiming& timing : timings) EXPECT_GT(timing.seconds, 0);
}

TEST(Barrier, LooksAroundWhileItWaits) {
  const Communicator communicator = Communicator::world();
  int looks = 0;
  if (communicator.rank() == 0) usleep(300'000);
  communicator.barrier([&] { ++looks; });
  EXPECT_GE(looks, communicator.rank() == 1 ? 2 : 0);
}

}  // namespace
}  // namespace eidolon
