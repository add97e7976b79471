#include "job/used_keys.h"

#include <algorithm>

#include "job_fixture.h"

namespace eidolon {
namespace {

TEST(UsedKeys, AreAllWhereEveryPartIsSwitchedOn) {
  const Job job = job_that_uses_every_key();
  visit_keys(job, [&](const Key& key, const auto&) { EXPECT_TRUE(is_used(job, key)) << full_name(key); });
}

TEST(UsedKeys, AreWarnedOfOnlyIfTheyWereSetAndDoNothing) {
  Job job;
  EXPECT_TRUE(settings_without_effect(job).empty()) << "nobody set these";
  job.synthesis.entropy_form = "gaussian";
  job.quantization.ridge = 0.5;
  job.finetuning.early_rate = 2;
  EXPECT_EQ(settings_without_effect(job), (std::vector<std::string>{"synthesis.entropy_form", "quantization.ridge"}));
  job.synthesis.entropy_weight = 2;
  job.quantization.correction = "rounding";
  EXPECT_TRUE(settings_without_effect(job).empty());
  job.synthesis.method = "gaussian";
  EXPECT_EQ(settings_without_effect(job), (std::vector<std::string>{"synthesis.entropy_weight", "synthesis.entropy_form"}));
}

TEST(UsedKeys, OfTheDefaultAreThoseThatPeopleSet) {
  const Job job;
  std::vector<std::string> unused;
  visit_keys(job, [&](const Key& key, const auto&) {
    if (!is_used(job, key)) unused.push_back(full_name(key));
  });
  for (const char* name : {"synthesis.images", "synthesis.seed", "synthesis.iterations", "synthesis.smallest_view",
                           "quantization.weight_bits", "finetuning.iterations", "finetuning.learning_rate"})
    EXPECT_EQ(std::ranges::count(unused, name), 0) << name;
  for (const char* name : {"synthesis.entropy_form", "synthesis.soft_label_low", "finetuning.distill_images"})
    EXPECT_EQ(std::ranges::count(unused, name), 1) << name;
}

}  // namespace
}  // namespace eidolon
