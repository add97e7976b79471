#include "job/run_directory.h"

#include "base/error.h"
#include "job/reader.h"
#include "job_fixture.h"

namespace eidolon {
namespace {

using RunDirectories = JobFolder;

TEST_F(RunDirectories, NamesItsFiles) {
  const RunDirectory run{"/runs/a"};
  EXPECT_EQ(run.log(3), "/runs/a/log/rank-0003.log");
  EXPECT_EQ(run.heartbeat(12), "/runs/a/heartbeat/rank-0012.json");
  EXPECT_EQ(run.unit_state(16), "/runs/a/units/unit-00000016.h5");
  EXPECT_EQ(run.shard(16, 31), "/runs/a/shards/images-00000016-00000031.h5");
  EXPECT_EQ(run.checkpoint(1200), "/runs/a/checkpoints/step-00001200.h5");
}

TEST_F(RunDirectories, AreCreatedWithTheirFoldersAndMayBeOpenedAgain) {
  for (int time = 0; time < 2; ++time) {
    const RunDirectory run = open_run_directory(folder / "deep/run");
    for (const auto& file : {run.log(0), run.heartbeat(0), run.unit_state(0), run.shard(0, 15), run.checkpoint(0)}) {
      EXPECT_TRUE(std::filesystem::is_directory(file.parent_path())) << file;
    }
  }
}

TEST_F(RunDirectories, SayWhichPathIsInTheWay) {
  write("taken", "a file");
  try {
    open_run_directory(folder / "taken");
    ADD_FAILURE();
  } catch (const Fault& fault) {
    EXPECT_EQ(std::string(fault.what()).find("cannot create the folder " + (folder / "taken").string() + ": "), 0u)
        << fault.what();
  }
}

TEST_F(RunDirectories, ListCheckpointsNewestFirstAndNothingElse) {
  const RunDirectory run = open_run_directory(folder);
  EXPECT_TRUE(checkpoint_steps(run).empty());
  for (const char* name : {"step-00000000.h5", "step-00001200.h5", "step-123456789.h5", "step-00000300.h5", "step-300.h5",
                           "step-00000700.h5.node.17.part", "step-0000x700.h5", "step-.h5", "step--0000001.h5", "notes.txt",
                           "step-99999999999999999999999.h5"}) {
    write(std::string("checkpoints/") + name, "");
  }
  EXPECT_EQ(checkpoint_steps(run), (std::vector<int64_t>{123456789, 1200, 300, 0}));
  EXPECT_TRUE(checkpoint_steps(RunDirectory{folder / "absent"}).empty());
}

TEST_F(RunDirectories, KeepWhatTheFirstStartDecided) {
  const RunDirectory run = open_run_directory(folder);
  Job job;
  job.teacher.weights = "/models/teacher";
  EXPECT_EQ(with_resolved_autos(job, run).run.device, std::nullopt) << "nothing was decided yet";

  Job first = job;
  first.run.device = "cuda";
  first.run.threads = 12;
  first.synthesis.precision = "bf16";
  first.synthesis.prior_weight = 0.75;
  first.synthesis.images = 512;
  write_resolved_job(first, run);

  job.run.threads = 2;
  const Job second = with_resolved_autos(job, run);
  EXPECT_EQ(second.run.device, "cuda");
  EXPECT_EQ(second.run.threads, 2) << "the job states it, so the first start's decision does not count";
  EXPECT_EQ(second.synthesis.precision, "bf16");
  EXPECT_EQ(second.synthesis.prior_weight, 0.75);
  EXPECT_EQ(second.quantization.attention, std::nullopt) << "still open in the first start";
  EXPECT_EQ(second.synthesis.images, 256) << "no auto, so taken from the job";
}

TEST_F(RunDirectories, RefuseADamagedResolvedJobByName) {
  const RunDirectory run = open_run_directory(folder);
  write("job.resolved.toml", "[run]\nthreads = \n");
  try {
    with_resolved_autos(Job(), run);
    ADD_FAILURE();
  } catch (const BadInput& error) {
    EXPECT_EQ(std::string(error.what()).find(run.resolved_job().string() + ":2: not TOML"), 0u) << error.what();
  }
}

}  // namespace
}  // namespace eidolon
