#include "quantization/bit_rules.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "quantization/scheme.h"
#include "random_model.h"
#include "tests/research_job.h"

namespace eidolon {
namespace {

Scheme scheme_with(const std::string& rules) {
  QuantizationJob job = research_job();
  job.bits_for = rules;
  return scheme_of(job, *small_plan());
}

TEST(BitRules, ChangeTheNodesTheyMatchAndNoOthers) {
  const Scheme plain = scheme_with(""), ruled = scheme_with("blocks.0.*: 8, *.attn.probs: 6");
  const auto plan = small_plan();
  ASSERT_EQ(plain.size(), ruled.size());
  for (const auto& [node, spec] : plain) {
    QuantizerSpec expected = spec;
    if (plan->name(node).starts_with("blocks.0.")) expected.bits = 8;
    if (plan->role(node) == Role::probabilities) expected.bits = 6;  // the later rule holds
    EXPECT_EQ(ruled.at(node), expected) << plan->name(node);
  }
}

TEST(BitRules, FloatLeavesANodeUnquantized) {
  const Scheme scheme = scheme_with("head.*:float");
  EXPECT_FALSE(scheme.contains(small_plan()->node("head.weight")));
  EXPECT_FALSE(scheme.contains(small_plan()->node("head.input")));
  EXPECT_EQ(scheme.size(), scheme_with("").size() - 2);
}

TEST(BitRules, WhatIsNoRuleIsRefusedByItsText) {
  for (const char* wrong :
       {"blocks.0.*", "blocks.0.*: 9", "blocks.0.*: 1", ": 4", "head.*: eight", "blocks.7.*: 8", "head.*: 4x"}) {
    try {
      scheme_with(wrong);
      ADD_FAILURE() << wrong << " was accepted";
    } catch (const BadInput& error) {
      EXPECT_NE(std::string(error.what()).find("bits_for"), std::string::npos) << error.what();
    }
  }
  EXPECT_EQ(bit_rules(" ").size(), 0U);
}

}  // namespace
}  // namespace eidolon
