#include "job/reader.h"

#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "job_fixture.h"

namespace eidolon {
namespace {

using Reader = JobFolder;

constexpr const char* minimal = "[teacher]\nweights = \"models/tiny\"\n";

TEST_F(Reader, FillsTheStructFromAFile) {
  const Job job = read_job(write("tiny_w4a4.toml", R"(# a recipe
[teacher]
weights = "/models/tiny"
[synthesis.sardfq]
prior_weight = 2.5
soft_labels = false
[synthesis]
method = "sardfq"
images = 64
learning_rate = 1       # an integer where a number is expected
seed = 7
[quantization]
recipe = "research"
weight_bits = 8
attention = "log2"
[run]
threads = 3
)"),
                           {});
  EXPECT_EQ(job.name, "tiny_w4a4");
  EXPECT_EQ(job.teacher.weights, "/models/tiny");
  EXPECT_EQ(job.synthesis.images, 64);
  EXPECT_EQ(job.synthesis.learning_rate, 1.0);
  EXPECT_EQ(job.synthesis.sardfq.prior_weight, 2.5);
  EXPECT_FALSE(job.synthesis.sardfq.soft_labels);
  EXPECT_EQ(job.synthesis.sardfq.crops, 4);
  EXPECT_EQ(job.synthesis.seed, 7u);
  EXPECT_EQ(job.quantization.weight_bits, 8);
  EXPECT_EQ(job.quantization.activation_bits, QuantizationJob().activation_bits);
  EXPECT_EQ(job.quantization.attention, "log2");
  EXPECT_EQ(job.run.threads, 3);
  EXPECT_EQ(job.run.device, std::nullopt);
}

TEST_F(Reader, AutoIsAWordForEveryKeyThatCanBeAuto) {
  const Job job =
      read_job(write("job.toml", std::string(minimal) +
                                     "[synthesis]\nprecision = \"auto\"\n[run]\nthreads = \"auto\"\ndevice = \"auto\"\n"),
               {});
  EXPECT_EQ(job.synthesis.precision, std::nullopt);
  EXPECT_EQ(job.run.threads, std::nullopt);
  EXPECT_EQ(job.run.device, std::nullopt);
}

TEST_F(Reader, PathsAreRelativeToTheJobFile) {
  const Job job = read_job(write("job.toml", "[teacher]\nweights = \"../models/./tiny\"\n[evaluation]\nimages = \"\"\n"), {});
  EXPECT_EQ(job.teacher.weights, folder.parent_path() / "models/tiny");
  EXPECT_EQ(job.evaluation.images, "");
}

TEST_F(Reader, PathsOfOverridesAreRelativeToTheWorkingDirectory) {
  const Job job = read_job(write("job.toml", minimal), {"teacher.weights=models/small"});
  EXPECT_EQ(job.teacher.weights, std::filesystem::current_path() / "models/small");
}

TEST_F(Reader, ExpandsVariablesInPaths) {
  setenv("EIDOLON_TEST_ROOT", "/data", 1);
  const auto file = write("job.toml", "[teacher]\nweights = \"${EIDOLON_TEST_ROOT}/m/$x/$${y}\"\n");
  EXPECT_EQ(read_job(file, {}).teacher.weights, "/data/m/$x/${y}");
  EXPECT_EQ(read_job(file, {"evaluation.images=${EIDOLON_TEST_ROOT}/val"}).evaluation.images, "/data/val");
  unsetenv("EIDOLON_TEST_ROOT");
}

TEST_F(Reader, VariablesOfAPathThatAnOverrideReplacesNeedNotBeSet) {
  unsetenv("EIDOLON_TEST_UNSET");
  const auto file = write("job.toml", std::string(minimal) + "[evaluation]\nimages = \"${EIDOLON_TEST_UNSET}/val\"\n");
  EXPECT_THROW(read_job(file, {}), BadInput);
  EXPECT_THROW(read_job(file, {"evaluation.batch=4"}), BadInput);
  EXPECT_EQ(read_job(file, {"evaluation.images="}).evaluation.images, "");
  EXPECT_EQ(read_job(file, {"evaluation.images=/val"}).evaluation.images, "/val");
  const auto wrong = write("wrong.toml", std::string(minimal) + "[evaluation]\nimages = 3\n");
  EXPECT_THROW(read_job(wrong, {"evaluation.images=/val"}), BadInput) << "what is no path is still refused";
}

TEST_F(Reader, OverridesApplyInOrderAndTakeTomlValuesOrBareWords) {
  const Job job = read_job(write("job.toml", minimal),
                           {"synthesis.images=32", "synthesis.images = 48", "synthesis.method=sardfq", "run.device=\"cpu\"",
                            "synthesis.sardfq.soft_labels=false", "synthesis.sardfq.prior_weight=auto",
                            "finetuning.learning_rate=1e-3", "synthesis.start=leaves:2, pink:1", "synthesis.seed=0x10",
                            "evaluation.images=/with space/and=sign", "evaluation.classes="});
  EXPECT_EQ(job.synthesis.images, 48);
  EXPECT_EQ(job.synthesis.start, "leaves:2, pink:1");
  EXPECT_EQ(job.run.device, "cpu");
  EXPECT_FALSE(job.synthesis.sardfq.soft_labels);
  EXPECT_EQ(job.synthesis.sardfq.prior_weight, std::nullopt);
  EXPECT_EQ(job.finetuning.learning_rate, 1e-3);
  EXPECT_EQ(job.synthesis.seed, 16u);
  EXPECT_EQ(job.evaluation.images, "/with space/and=sign");
  EXPECT_EQ(job.evaluation.classes, "");
}

TEST_F(Reader, AnOverrideMaySupplyTheTeacher) {
  EXPECT_EQ(read_job(write("job.toml", ""), {"teacher.weights=/m"}).teacher.weights, "/m");
}

TEST_F(Reader, OverridesMayMendContradictionsOfTheFile) {
  const auto file = write("job.toml", std::string(minimal) + "[synthesis]\nmethod = \"gaussian\"\nstart = \"pink\"\n");
  EXPECT_THROW(read_job(file, {}), BadInput);
  EXPECT_EQ(read_job(file, {"synthesis.start=gaussian"}).synthesis.start, "gaussian");
}

TEST_F(Reader, TheMethodDecidesTheDefaultsWhereverItStands) {
  const auto file = write("job.toml", std::string(minimal) + "[synthesis]\nimages = 48\nmethod = \"sardfq\"\n");
  const SynthesisJob sardfq = read_job(file, {}).synthesis;
  EXPECT_EQ(sardfq.images, 48);
  EXPECT_EQ(sardfq.iterations, 1000);
  EXPECT_EQ(sardfq.start, "gaussian");
  EXPECT_EQ(sardfq.optimised_share, 1.0);
  EXPECT_EQ(sardfq.variation_weight, 0.283);
  EXPECT_EQ(sardfq.sardfq.prior_weight, std::nullopt);
  const SynthesisJob views = read_job(file, {"synthesis.iterations=7", "synthesis.method=views"}).synthesis;
  EXPECT_EQ(views.images, 48);
  EXPECT_EQ(views.iterations, 7);
  EXPECT_EQ(views.start, "leaves, scenes, textures");
  EXPECT_EQ(views.variation_weight, 0.0);
}

TEST_F(Reader, GroupsMayBeTablesDottedKeysAndOverrides) {
  const std::string sardfq = std::string(minimal) + "[synthesis]\nmethod = \"sardfq\"\n";
  for (const char* group : {"[synthesis.sardfq]\ncrops = 2\n", "sardfq.crops = 2\n", "sardfq = { crops = 2 }\n"})
    EXPECT_EQ(read_job(write("job.toml", sardfq + group), {}).synthesis.sardfq.crops, 2) << group;
  EXPECT_EQ(read_job(write("job.toml", sardfq), {"synthesis.sardfq.crops=2"}).synthesis.sardfq.crops, 2);
}

TEST_F(Reader, NoIterationsAndFewImagesAreFine) {
  const Job job =
      read_job(write("job.toml", minimal), {"synthesis.iterations=0", "finetuning.iterations=0", "synthesis.images=1"});
  EXPECT_EQ(job.synthesis.iterations, 0);
  EXPECT_GT(job.quantization.calibration_images, job.synthesis.images);
}

TEST_F(Reader, MinusZeroIsZero) {
  EXPECT_FALSE(
      std::signbit(read_job(write("job.toml", minimal), {"synthesis.variation_weight=-0.0"}).synthesis.variation_weight));
}

TEST_F(Reader, ResolvedJobsOfOtherVersionsMayHoldKeysThatThisOneDoesNotKnow) {
  const auto file = write("job.resolved.toml", "top = 1\n[run]\nthreads = 5\nfuture = true\n[elsewhere]\nx = 1\n");
  EXPECT_EQ(read_resolved_job(file).run.threads, 5);
}

}  // namespace
}  // namespace eidolon
