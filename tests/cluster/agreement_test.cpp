#include "cluster/agreement.h"

#include <gtest/gtest.h>

#include "cluster/collective_timing.h"
#include "cluster/on_root.h"

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

TEST(CollectiveTiming, GivesATimeForEachSize) {
  const Communicator communicator = Communicator::world();
  const auto timings = time_all_reduce(communicator, at::kCPU);
  ASSERT_EQ(timings.size(), 7u);
  EXPECT_EQ(timings.front().bytes, 4);
  EXPECT_EQ(timings.back().bytes, 64 << 20);
  for (const CollectiveTiming& timing : timings) EXPECT_GT(timing.seconds, 0);
}

}  // namespace
}  // namespace eidolon
