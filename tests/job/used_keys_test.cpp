#include "job/used_keys.h"

#include <algorithm>
#include <set>

#include "job/key_groups.h"
#include "job_fixture.h"

namespace eidolon {
namespace {

TEST(UsedKeys, AreAllThatApplyWhereEveryPartIsSwitchedOn) {
  std::set<std::string> all, used;
  for (const Job& job : jobs_that_use_every_key()) {
    visit_keys(job, [&](const Key& key, const auto&) {
      EXPECT_EQ(is_used(job, key), applies(job, key)) << full_name(key);
      all.insert(full_name(key));
      if (is_used(job, key)) used.insert(full_name(key));
    });
  }
  EXPECT_EQ(used, all) << "every key is used by some job";
}

TEST(UsedKeys, AreWarnedOfOnlyIfTheyWereSetAndDoNothing) {
  Job job;
  EXPECT_TRUE(settings_without_effect(job).empty()) << "nobody set these";
  job.synthesis = synthesis_method("psaq").defaults();
  EXPECT_TRUE(settings_without_effect(job).empty()) << "the defaults of the method";
  job.synthesis.psaq.entropy_form = "gaussian";
  job.finetuning.distill.feature_weight = 0.5;
  job.finetuning.learning_rate_multiplier = 2;
  EXPECT_EQ(settings_without_effect(job), (std::vector<std::string>{"finetuning.distill.feature_weight"}));
  job.finetuning.distill.iterations = 3;
  EXPECT_TRUE(settings_without_effect(job).empty());
  job.synthesis.iterations = 0;
  job.synthesis.learning_rate = 1;
  EXPECT_EQ(settings_without_effect(job), (std::vector<std::string>{"synthesis.learning_rate", "synthesis.psaq.entropy_form"}));
}

TEST(UsedKeys, ThatSwitchAPartOffAreNotWarnedOf) {
  Job job;
  job.synthesis.optimised_share = 0;
  EXPECT_TRUE(settings_without_effect(job).empty());
  job.finetuning.iterations = 0;
  EXPECT_TRUE(settings_without_effect(job).empty());
  job.synthesis.variation_weight = 3;
  EXPECT_EQ(settings_without_effect(job), (std::vector<std::string>{"synthesis.variation_weight"}));
}

TEST(UsedKeys, ThatAFormatOfHardwareDoesNotReadAreWarnedOf) {
  Job job;
  job.quantization.recipe = "research";
  job.quantization.weight_format = "mxfp4";
  job.quantization.weight_symmetric = true;
  job.finetuning.scales.weight_learning_rate = job.finetuning.scales.activation_learning_rate = 0.1;
  EXPECT_EQ(settings_without_effect(job),
            (std::vector<std::string>{"quantization.weight_symmetric", "finetuning.scales.weight_learning_rate"}));
  job.quantization.weight_format = "fp8_e4m3";  // its scales are float32
  job.quantization.activation_format = job.quantization.attention = "nvfp4";
  EXPECT_EQ(settings_without_effect(job),
            (std::vector<std::string>{"quantization.weight_symmetric", "finetuning.scales.activation_learning_rate"}));
}

TEST(UsedKeys, OfTheDefaultAreThoseThatPeopleSet) {
  const Job job;
  std::vector<std::string> unused;
  visit_keys(job, [&](const Key& key, const auto&) {
    if (!is_used(job, key)) unused.push_back(full_name(key));
  });
  for (const char* name : {"synthesis.images", "synthesis.seed", "synthesis.iterations", "synthesis.views.smallest_side",
                           "quantization.recipe", "finetuning.iterations", "finetuning.learning_rate"})
    EXPECT_EQ(std::ranges::count(unused, name), 0) << name;
  for (const char* name :
       {"synthesis.enlargement", "synthesis.psaq.entropy_form", "synthesis.sardfq.crops", "finetuning.distill.images"})
    EXPECT_EQ(std::ranges::count(unused, name), 1) << name;
}

}  // namespace
}  // namespace eidolon
