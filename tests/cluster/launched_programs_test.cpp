// Starts mpirun and judges exit code and output, as a batch script would.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <string>

namespace {

struct Outcome {
  int code = -1;
  std::string output;
};

Outcome run_shell(const std::string& command) {
  Outcome outcome;
  FILE* pipe = popen(("timeout -k 5 90 " + command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return outcome;
  char buffer[4096];
  while (std::fgets(buffer, sizeof buffer, pipe) != nullptr) outcome.output += buffer;
  const int status = pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

bool contains(const Outcome& outcome, const std::string& text) {
  return outcome.output.find(text) != std::string::npos;
}

class LaunchedProgram : public ::testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(folder); }
  Outcome with_rank_1(const std::string& how, const std::string& collective = "sum") {
    return run_shell(std::string(MPIRUN) + " 3 " + MISBEHAVING_RANK + " " + how + " " + folder.string() + " " + collective);
  }
  std::filesystem::path folder = std::filesystem::temp_directory_path() / ("eidolon-hung-" + std::to_string(getpid()));
};

class InEachCollective : public LaunchedProgram, public testing::WithParamInterface<const char*> {};

INSTANTIATE_TEST_SUITE_P(LaunchedProgram, InEachCollective,
                         ::testing::Values("sum", "started_sum", "broadcast", "barrier", "patient_barrier", "max", "number_sum",
                                           "broadcast_text", "gather_texts"),
                         [](const auto& collective) { return std::string(collective.param); });

TEST_F(LaunchedProgram, EndsWellWhenNobodyMisbehaves) {
  const Outcome outcome = with_rank_1("none");
  EXPECT_EQ(outcome.code, 0) << outcome.output;
  EXPECT_TRUE(contains(outcome, "all came")) << outcome.output;
}

TEST_P(InEachCollective, NamesARankThatWasStopped) {
  const Outcome outcome = with_rank_1("stop", GetParam());
  EXPECT_EQ(outcome.code, 70) << outcome.output;
  EXPECT_TRUE(contains(outcome, "behind: rank 1 on ")) << outcome.output;
}

TEST_P(InEachCollective, EndsWhenARankIsKilled) {
  const Outcome outcome = with_rank_1("die", GetParam());
  EXPECT_EQ(outcome.code, 137) << outcome.output;
}

TEST_F(LaunchedProgram, NamesARankThatNeverCame) {
  const Outcome outcome = with_rank_1("sleep");
  EXPECT_EQ(outcome.code, 70) << outcome.output;
  EXPECT_TRUE(contains(outcome, "behind: rank 1 on ")) << outcome.output;
  EXPECT_TRUE(contains(outcome, "test step 1")) << outcome.output;
}

TEST_F(LaunchedProgram, WaitsForARankThatIsOnlySlow) {
  const Outcome outcome = with_rank_1("slow");
  EXPECT_EQ(outcome.code, 0) << outcome.output;
  EXPECT_TRUE(contains(outcome, "all came")) << outcome.output;
}

// Nobody waits in MPI_Finalize for a rank that left by an exception.
TEST_F(LaunchedProgram, EndsWithTheCodeOfARankThatThrew) {
  const Outcome outcome = with_rank_1("throw");
  EXPECT_EQ(outcome.code, 70) << outcome.output;
  EXPECT_TRUE(contains(outcome, "[rank 1] error: rank 1 gave up")) << outcome.output;
}

TEST_F(LaunchedProgram, StartedAsLoneSlurmTasksIsRefused) {
  const Outcome outcome =
      run_shell("env SLURM_NTASKS=4 SLURM_STEP_ID=0 " + std::string(MISBEHAVING_RANK) + " none " + folder.string() + " sum");
  EXPECT_EQ(outcome.code, 64) << outcome.output;
  EXPECT_TRUE(contains(outcome, "srun --mpi=pmix")) << outcome.output;
  EXPECT_FALSE(std::filesystem::exists(folder));
}

TEST(Harness, PrefixesAFailureByItsRank) {
  const Outcome outcome = run_shell(std::string(MPIRUN) + " 3 " + ONE_RANK_FAILS);
  EXPECT_EQ(outcome.code, 1) << outcome.output;
  EXPECT_TRUE(contains(outcome, "[rank 2] Harness.HearsOfAFailureOnTheLastRank failed")) << outcome.output;
}

}  // namespace
