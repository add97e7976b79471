#include <cstdlib>

#include "job/key_groups.h"
#include "job/reader.h"
#include "job_fixture.h"

namespace eidolon {
namespace {

using ToToml = JobFolder;

/// In all keys of the methods that are chosen.
void expect_equal(const Job& expected, const Job& actual) {
  visit_keys(expected, [&]<class Field>(const Key& key, const Field& value) {
    if (!applies(expected, key)) return;
    visit_keys(actual, [&]<class Other>(const Key& other, const Other& other_value) {
      if constexpr (std::is_same_v<Field, Other>) {
        if (full_name(key) == full_name(other)) {
          EXPECT_TRUE(value == other_value) << full_name(key);
        }
      }
    });
  });
}

TEST_F(ToToml, EveryKeyChangedFromItsDefaultSurvivesTheRoundTrip) {
  for (const char* method : {"views", "sardfq", "psaq", "psaq_v2", "generator", "gaussian", "given"}) {
    Job job;
    visit_keys(job, [](const Key& key, auto& field) { change(key, field); });
    job.synthesis.method = method;
    job.synthesis.unit_images = 8;
    job.synthesis.generator.batch = 24;  // whole units
    job.finetuning.distill.images = "leaves";
    const Job read = read_job(write("round_trip.toml", to_toml(job)), {});
    expect_equal(job, read);
    EXPECT_EQ(read.name, "round_trip");
    EXPECT_EQ(read.file, folder / "round_trip.toml");
  }
}

TEST_F(ToToml, GroupsAreTablesOfTheChosenMethodAlone) {
  Job job;
  job.teacher.weights = "/models/teacher";
  job.synthesis = synthesis_method("sardfq").defaults();
  const std::string text = to_toml(job);
  EXPECT_NE(text.find("[synthesis.sardfq]\nprior_weight = \"auto\"\ncrops = 4\nsoft_labels = true\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("[finetuning.distill]\n"), std::string::npos);
  for (const char* other : {"[synthesis.views]", "[synthesis.psaq]", "[finetuning.adaround]"})
    EXPECT_EQ(text.find(other), std::string::npos) << other;
}

TEST_F(ToToml, DefaultsAndAutosSurviveTheRoundTrip) {
  Job job;
  job.teacher.weights = "/models/teacher";
  const std::string text = to_toml(job);
  EXPECT_NE(text.find("device = \"auto\"\n"), std::string::npos);
  EXPECT_NE(text.find("variation_weight = 0.0\n"), std::string::npos);
  expect_equal(job, read_job(write("job.toml", text), {}));
}

TEST_F(ToToml, OddPathsSurviveTheRoundTrip) {
  const std::string umlauts = "/gr\xc3\xbc\xc3\x9f\x65";
  for (const std::string& path : {std::string("/a \"quoted\"\\ path"), std::string("/a${HOME}b"), std::string("/$${x"),
                                  std::string("/line\nbreak\x01"), umlauts}) {
    Job job;
    job.teacher.weights = path;
    EXPECT_EQ(read_job(write("job.toml", to_toml(job)), {}).teacher.weights, job.teacher.weights) << path;
  }
}

TEST_F(ToToml, DoublesKeepEveryBit) {
  Job job;
  job.teacher.weights = "/models/teacher";
  for (const double value : {0.1, 1.0 / 3, 1e-300, 5e-324, 123456.0, 1e-5}) {
    job.synthesis.learning_rate = value;
    EXPECT_EQ(read_job(write("job.toml", to_toml(job)), {}).synthesis.learning_rate, value);
  }
}

}  // namespace
}  // namespace eidolon
