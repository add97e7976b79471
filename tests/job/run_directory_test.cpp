#include "job/run_directory.h"

#include <functional>

#include "base/error.h"
#include "job/reader.h"
#include "job_fixture.h"

namespace eidolon {
namespace {

using RunDirectories = JobFolder;

TEST_F(RunDirectories, NamesItsFiles) {
  const RunDirectory run{"/runs/a"};
  EXPECT_EQ(run.log("now", 3), "/runs/a/log/now/rank-0003.log");
  EXPECT_EQ(run.heartbeats("now"), "/runs/a/heartbeat/now");
  EXPECT_EQ(run.unit_state(16), "/runs/a/units/unit-00000016.h5");
  EXPECT_EQ(run.shard(16, 31), "/runs/a/shards/images-00000016-00000031.h5");
  EXPECT_EQ(run.checkpoint(1200), "/runs/a/checkpoints/step-00001200.h5");
}

TEST_F(RunDirectories, AreCreatedWithTheirFoldersAndMayBeOpenedAgain) {
  for (int time = 0; time < 2; ++time) {
    const RunDirectory run = open_run_directory(folder / "deep/run", "launch");
    for (const auto& file : {run.log("launch", 0), run.unit_state(0), run.shard(0, 15), run.checkpoint(0)}) {
      EXPECT_TRUE(std::filesystem::is_directory(file.parent_path())) << file;
    }
    EXPECT_TRUE(std::filesystem::is_directory(run.heartbeats("launch")));
  }
}

TEST_F(RunDirectories, SayWhichPathIsInTheWay) {
  write("taken", "a file");
  try {
    open_run_directory(folder / "taken", "launch");
    ADD_FAILURE();
  } catch (const Fault& fault) {
    EXPECT_EQ(std::string(fault.what()).find("cannot create the folder " + (folder / "taken").string() + ": "), 0u)
        << fault.what();
  }
}

TEST_F(RunDirectories, ListCheckpointsNewestFirstAndNothingElse) {
  const RunDirectory run = open_run_directory(folder, "launch");
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
  const RunDirectory run = open_run_directory(folder, "launch");
  Job job;
  job.teacher.weights = "/models/teacher";
  job.synthesis = synthesis_method("sardfq").defaults();
  EXPECT_EQ(with_resolved_autos(job, run).run.device, std::nullopt) << "nothing was decided yet";

  Job first = job;
  first.run.device = "cuda";
  first.run.threads = 12;
  first.synthesis.precision = "bf16";
  first.synthesis.sardfq.prior_weight = 0.75;
  first.synthesis.images = 512;
  EXPECT_EQ(settle_job(first, job, run).run.threads, 12);

  job.run.threads = 2;
  const Job second = with_resolved_autos(job, run);
  EXPECT_EQ(second.run.device, "cuda");
  EXPECT_EQ(second.run.threads, 2) << "the job states it, so the first start's decision does not count";
  EXPECT_EQ(second.synthesis.precision, "bf16");
  EXPECT_EQ(second.synthesis.sardfq.prior_weight, 0.75);
  EXPECT_EQ(second.run.checkpoint_seconds, std::nullopt) << "still open in the first start";
  EXPECT_EQ(second.synthesis.images, 32) << "no auto, so taken from the job";
}

TEST_F(RunDirectories, RefuseADamagedResolvedJobByName) {
  const RunDirectory run = open_run_directory(folder, "launch");
  write("job.resolved.toml", "[run]\nthreads = \n");
  try {
    with_resolved_autos(Job(), run);
    ADD_FAILURE();
  } catch (const BadInput& error) {
    EXPECT_EQ(std::string(error.what()).find(run.resolved_job().string() + ":2: not TOML"), 0u) << error.what();
  }
}

TEST_F(RunDirectories, RefuseAnEmptiedOrShortenedResolvedJobByName) {
  const RunDirectory run = open_run_directory(folder, "launch");
  Job job;
  job.teacher.weights = "/models/teacher";
  const std::string whole = to_toml(job);
  write("job.resolved.toml", whole);
  EXPECT_NO_THROW(with_resolved_autos(job, run));
  for (const std::string& text :
       {std::string(), std::string("\n"), whole.substr(0, whole.find("[run]")), std::string("[run]\n")}) {
    write("job.resolved.toml", text);
    for (const auto& read :
         std::vector<std::function<void()>>{[&] { with_resolved_autos(job, run); }, [&] { settle_job(job, job, run); }}) {
      try {
        read();
        ADD_FAILURE() << text;
      } catch (const BadInput& error) {
        EXPECT_EQ(std::string(error.what()).find(run.resolved_job().string() + " was emptied or cut short"), 0u)
            << error.what();
      }
    }
  }
}

TEST_F(RunDirectories, RememberWhatTheFirstStartDecidedBehindAStartThatStatesAnotherValue) {
  const RunDirectory run = open_run_directory(folder, "launch");
  Job given;
  given.teacher.weights = "/models/teacher";
  Job first = given;
  first.run.threads = 2;
  settle_job(first, given, run);
  Job once = given;
  once.run.threads = 7;
  EXPECT_EQ(settle_job(once, once, run).run.threads, 7) << "it holds for this start";
  EXPECT_EQ(with_resolved_autos(given, run).run.threads, 2) << "and for no other";
}

TEST_F(RunDirectories, LetOneOfSeveralFirstStartsDecide) {
  const RunDirectory run = open_run_directory(folder, "launch");
  Job given;
  given.teacher.weights = "/models/teacher";
  Job one = given, other = given;
  one.synthesis.precision = "bf16";
  other.synthesis.precision = "fp32";
  EXPECT_EQ(settle_job(one, given, run).synthesis.precision, "bf16");
  EXPECT_EQ(settle_job(other, given, run).synthesis.precision, "bf16") << "the first has decided";
  EXPECT_EQ(read_resolved_job(run.resolved_job()).synthesis.precision, "bf16");
}

TEST_F(RunDirectories, RecordTheLatestJobWithWhatIsStillDecided) {
  const RunDirectory run = open_run_directory(folder, "launch");
  Job given;
  given.teacher.weights = "/models/teacher";
  Job first = given;
  first.synthesis.precision = "bf16";
  settle_job(first, given, run);
  Job more = first;
  more.synthesis.images = 999;
  Job more_given = given;
  more_given.synthesis.images = 999;
  settle_job(more, more_given, run);
  const Job recorded = read_resolved_job(run.resolved_job());
  EXPECT_EQ(recorded.synthesis.images, 999);
  EXPECT_EQ(recorded.synthesis.precision, "bf16");
}

// Whoever hands over a run directory must not choose where else the program writes.
TEST_F(RunDirectories, WhoseFoldersAreLinksAreRefusedBeforeAnythingIsWritten) {
  for (const char* name : {"log", "heartbeat", "units", "shards", "checkpoints"}) {
    const auto root = folder / (std::string("run-") + name), elsewhere = folder / (std::string("elsewhere-") + name);
    std::filesystem::create_directories(root);
    std::filesystem::create_directories(elsewhere);
    std::filesystem::create_directory_symlink(elsewhere, root / name);
    try {
      open_run_directory(root, "launch");
      ADD_FAILURE() << name << " was accepted";
    } catch (const BadInput& error) {
      EXPECT_EQ(std::string(error.what()).find((root / name).string() + " is a link"), 0u) << error.what();
    }
    EXPECT_TRUE(std::filesystem::is_empty(elsewhere)) << name;
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(root), {}), 1) << name;
  }
}

TEST_F(RunDirectories, MayBeALinkThemselves) {
  std::filesystem::create_directories(folder / "real");
  std::filesystem::create_directory_symlink(folder / "real", folder / "run");
  open_run_directory(folder / "run", "launch");
  EXPECT_TRUE(std::filesystem::is_directory(folder / "real/shards"));
}

}  // namespace
}  // namespace eidolon
