#include "cluster/launch/launch.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "base/error.h"

namespace eidolon {
namespace {

class Launch : public ::testing::Test {
 protected:
  void TearDown() override {
    unsetenv("SLURM_NTASKS");
    unsetenv("SLURM_STEP_ID");
  }
  void slurm(const char* tasks, const char* step) {
    setenv("SLURM_NTASKS", tasks, 1);
    setenv("SLURM_STEP_ID", step, 1);
  }
};

TEST_F(Launch, OfSeveralTasksThatDoNotSeeEachOtherIsRefusedWithTheRemedy) {
  slurm("4", "0");
  try {
    refuse_wrong_launch(1);
    ADD_FAILURE() << "four lone tasks were accepted";
  } catch (const BadInput& error) {
    EXPECT_NE(std::string(error.what()).find("srun --mpi=pmix"), std::string::npos) << error.what();
  }
}

TEST_F(Launch, OfConnectedTasksIsAccepted) {
  slurm("4", "0");
  EXPECT_NO_THROW(refuse_wrong_launch(4));
}

TEST_F(Launch, OfOneTaskIsAccepted) {
  slurm("1", "0");
  EXPECT_NO_THROW(refuse_wrong_launch(1));
}

TEST_F(Launch, WithoutSlurmIsAccepted) {
  EXPECT_NO_THROW(refuse_wrong_launch(1));
}

TEST_F(Launch, FromAnInteractiveShellOfAnAllocationIsAccepted) {
  slurm("4", "4294967290");
  EXPECT_NO_THROW(refuse_wrong_launch(1));
}

TEST_F(Launch, FromABatchScriptIsAccepted) {
  setenv("SLURM_NTASKS", "4", 1);
  EXPECT_NO_THROW(refuse_wrong_launch(1));
}

}  // namespace
}  // namespace eidolon
