#include "job/identity.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "job/format_version.h"
#include "job/key_groups.h"
#include "job_fixture.h"
#include "storage/sha256.h"

namespace eidolon {
namespace {

IdentityContext a_context() {
  return {"7e4c", R"({"family":"vit"})", R"({"mean":[0.5,0.5,0.5],"size":224,"std":[0.5,0.5,0.5]})", "cpu", 1};
}

/// As the documentation states it, not as the schema marks it.
bool should_decide_images(const std::string& key) {
  return key.starts_with("synthesis.") && key != "synthesis.images" && key != "synthesis.held_out_images";
}

bool should_decide_student(const std::string& key) {
  return key.starts_with("synthesis.") || key.starts_with("quantization.") || key.starts_with("finetuning.");
}

TEST(Identity, DependsOnExactlyTheKeysOfItsStage) {
  std::set<std::string> unchangeable;
  for (const Job& job : jobs_that_use_every_key()) {
    visit_keys(job, [&](const Key& key, const auto&) {
      const std::string name = full_name(key);
      const auto changed = with_changed(job, name);
      if (!changed) {
        unchangeable.insert(name);
        return;
      }
      const bool decides_images = applies(job, key) && should_decide_images(name);
      const bool decides_student = applies(job, key) && should_decide_student(name);
      EXPECT_EQ(synthesis_id(*changed, a_context()) != synthesis_id(job, a_context()), decides_images) << name;
      EXPECT_EQ(student_id(*changed, a_context()) != student_id(job, a_context()), decides_student) << name;
    });
  }
  EXPECT_EQ(unchangeable, std::set<std::string>{}) << "only keys with a single choice cannot be tried";
}

TEST(Identity, ContainsEveryKeyOfItsStageByName) {
  for (const Job& job : jobs_that_use_every_key()) {
    const auto images = nlohmann::json::parse(synthesis_facts(job, a_context()));
    const auto student = nlohmann::json::parse(student_facts(job, a_context()));
    visit_keys(job, [&](const Key& key, const auto&) {
      std::string path("/");
      path += full_name(key);  // a group is an object within its section
      std::ranges::replace(path, '.', '/');
      const nlohmann::json::json_pointer place(path);
      const bool decides_images = should_decide_images(full_name(key));
      EXPECT_EQ(images.contains(place), applies(job, key) && decides_images) << full_name(key);
      EXPECT_EQ(student.contains(place), applies(job, key) && should_decide_student(full_name(key)) && !decides_images);
    });
    EXPECT_EQ(images["format_version"], format_version);
    EXPECT_EQ(images["preprocessing"]["size"], 224);
    EXPECT_EQ(student["synthesis_id"], synthesis_id(job, a_context()));
  }
}

TEST(Identity, LeavesOutKeysWithoutEffect) {
  const auto unaffected = [](const Job& job, const std::string& name) {
    const auto changed = with_changed(job, name);
    ASSERT_TRUE(changed);
    EXPECT_EQ(student_id(*changed, a_context()), student_id(job, a_context())) << name;
  };
  Job job = jobs_that_use_every_key().at(2);
  ASSERT_EQ(job.synthesis.method, "psaq");
  for (const char* name : {"views.colour", "sardfq.crops", "sardfq.soft_labels"})
    unaffected(job, std::string("synthesis.") + name);
  job.finetuning.rounding = "straight_through";
  unaffected(job, "finetuning.adaround.learning_rate");
  job.finetuning.distill.iterations = 0;
  for (const char* name : {"learning_rate", "distance", "feature_weight", "images"})
    unaffected(job, std::string("finetuning.distill.") + name);
  job.finetuning.method = "none";
  for (const char* name : {"batch", "iterations", "learning_rate", "learning_rate_multiplier", "input_mix", "importance",
                           "token_units", "scales.weight_learning_rate", "seed"})
    unaffected(job, std::string("finetuning.") + name);
  job.synthesis.psaq.entropy_weight = 0;
  unaffected(job, "synthesis.psaq.entropy_form");
  job.synthesis.optimised_share = 0;
  for (const char* name : {"iterations", "learning_rate", "variation_weight", "psaq.entropy_weight", "precision"})
    unaffected(job, std::string("synthesis.") + name);
}

TEST(Identity, CountsThreadsOnCpusAndTheKindOfGpuOnGpus) {
  const Job job = resolved_job();
  IdentityContext a100 = a_context(), h100 = a_context();
  a100.device = "cuda (NVIDIA A100-SXM4-80GB)";
  h100.device = "cuda (NVIDIA H100 80GB HBM3)";
  EXPECT_NE(synthesis_id(job, a100), synthesis_id(job, h100));
  IdentityContext more_threads = h100;
  more_threads.threads = 12;
  EXPECT_EQ(synthesis_id(job, more_threads), synthesis_id(job, h100));
}

TEST(Identity, OfImagesThatWereComputedElsewhere) {
  const Job job = resolved_job();
  IdentityContext there = a_context();
  there.threads = 7;
  const IdentityContext adopted = computed_as(a_context(), synthesis_facts(job, there));
  EXPECT_EQ(synthesis_id(job, adopted), synthesis_id(job, there));
  there.device = "cuda (NVIDIA H100 80GB HBM3)";
  EXPECT_EQ(synthesis_id(job, computed_as(a_context(), synthesis_facts(job, there))), synthesis_id(job, there));
  for (const char* nothing : {"", "{}", "[1]", R"({"device":4})", R"({"threads":4})"})
    EXPECT_EQ(synthesis_id(job, computed_as(a_context(), nothing)), synthesis_id(job, a_context())) << nothing;
}

TEST(Identity, DependsOnItsContext) {
  const Job job = resolved_job();
  std::set<std::string> ids{synthesis_id(job, a_context())};
  for (const auto& change : std::vector<void (*)(IdentityContext&)>{
           [](IdentityContext& context) { context.teacher_hash = "7e4d"; },
           [](IdentityContext& context) { context.preprocessing = R"({"size":225})"; },
           [](IdentityContext& context) { context.device = "cuda"; },
           [](IdentityContext& context) { context.threads = 2; },
       }) {
    IdentityContext context = a_context();
    change(context);
    ids.insert(synthesis_id(job, context));
    EXPECT_NE(student_id(job, context), student_id(job, a_context()));
  }
  EXPECT_EQ(ids.size(), 5u);
}

TEST(Identity, IgnoresNameAndFile) {
  Job job = resolved_job();
  const std::string id = student_id(job, a_context());
  job.name = "another";
  job.file = "/another.toml";
  EXPECT_EQ(student_id(job, a_context()), id);
}

TEST(Identity, IsTheHashOfSortedFactsWithoutSpaces) {
  Job job = resolved_job();
  job.synthesis.start = "gaussian";  // a mixture has spaces of its own
  const std::string facts = synthesis_facts(job, a_context());
  EXPECT_EQ(synthesis_id(job, a_context()), sha256_hex(facts));
  EXPECT_EQ(sha256_hex(facts).size(), 64u);
  EXPECT_TRUE(facts.starts_with(R"({"device":"cpu","format_version":)")) << facts;
  EXPECT_EQ(facts.find(' '), std::string::npos);
}

TEST(Identity, RefusesAutosThatAreNotResolved) {
  for (const char* name : {"synthesis.precision", "synthesis.sardfq.prior_weight", "finetuning.precision"}) {
    Job job = jobs_that_use_every_key()[1];
    ASSERT_EQ(job.synthesis.method, "sardfq");
    visit_keys(job, [&](const Key& key, auto& field) {
      if constexpr (can_be_auto<std::decay_t<decltype(field)>>) {
        if (full_name(key) == name) {
          field.reset();
        }
      }
    });
    try {
      student_id(job, a_context());
      ADD_FAILURE() << name;
    } catch (const Fault& fault) {
      EXPECT_NE(std::string(fault.what()).find(name), std::string::npos) << fault.what();
    }
  }
}

TEST(FirstDifference, NamesTheKeyAndBothValues) {
  for (const Job& here : jobs_that_use_every_key()) {
    visit_keys(here, [&](const Key& key, const auto&) {
      const auto there = with_changed(here, full_name(key));
      if (!there || key.decides != Decides::images || !applies(here, key)) return;
      const std::string said = first_difference(synthesis_facts(here, a_context()), synthesis_facts(*there, a_context()));
      EXPECT_TRUE(said.starts_with(full_name(key) + " is ")) << said;
    });
    Job there = here;
    there.synthesis.seed = 2;
    EXPECT_EQ(first_difference(synthesis_facts(there, a_context()), synthesis_facts(here, a_context())),
              "synthesis.seed is 2 here and 1 there");
  }
}

TEST(FirstDifference, TakesTheFirstInSortedOrder) {
  EXPECT_EQ(first_difference(R"({"b":1,"a":{"y":1,"x":1}})", R"({"b":2,"a":{"y":2,"x":2}})"), "a.x is 1 here and 2 there");
}

TEST(FirstDifference, NamesAKeyThatBothHaveBeforeOneThatItSwitchesOff) {
  EXPECT_EQ(first_difference(R"({"s":{"a_weight":1,"b":2}})", R"({"s":{"b":0}})"), "s.b is 2 here and 0 there");
}

TEST(FirstDifference, NamesTheFormatVersionsBeforeAnythingElse) {
  EXPECT_EQ(first_difference(R"({"device":"cpu","format_version":3})", R"({"device":"cuda","format_version":2})"),
            "format_version is 3 here and 2 there");
}

TEST(FirstDifference, NamesKeysThatOneSideLacks) {
  EXPECT_EQ(first_difference(R"({"a":1})", "{}"), "a is 1 here and absent there");
  EXPECT_EQ(first_difference("{}", R"({"a":{"b":"x"}})"), R"(a is absent here and {"b":"x"} there)");
}

TEST(FirstDifference, OfEqualFactsIsEmpty) {
  const std::string facts = synthesis_facts(resolved_job(), a_context());
  EXPECT_EQ(first_difference(facts, facts), "");
  EXPECT_EQ(first_difference(R"({"a":1,"b":2})", R"({"b":2,"a":1})"), "");
}

TEST(FirstDifference, SurvivesWhatIsNoJson) {
  EXPECT_EQ(first_difference("{}", "garbage"), "what is recorded there is no JSON object");
  EXPECT_EQ(first_difference("[1]", "{}"), "what is recorded here is no JSON object");
  EXPECT_EQ(first_difference("x", "x"), "");
}

}  // namespace
}  // namespace eidolon
