#include "exporting/targets.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/error.h"
#include "job/schema.h"
#include "quantization/scheme.h"
#include "tests/quantization/random_model.h"
#include "tests/research_job.h"

namespace eidolon {
namespace {

TEST(Targets, AreTheOnesThatAJobMayName) {
  std::set<std::string> named, there;
  const Job job;
  visit_keys(job, [&](const Key& key, const auto&) {
    if (full_name(key) == "run.export") named.insert(key.allowed.choices.begin(), key.allowed.choices.end());
  });
  for (const Target& target : export_targets()) there.insert(std::string(target.name));
  EXPECT_EQ(named, there);
}

TEST(Targets, ThatDoNotExistAreRefusedWithTheNamesOfThoseThatDo) {
  try {
    export_target("onyx");
    FAIL();
  } catch (const BadInput& error) {
    EXPECT_NE(std::string(error.what()).find("packed, onnx, openvino, tensorrt"), std::string::npos) << error.what();
  }
}

/// What a target says of a student of this job, before there is one; "" if it takes it.
std::string refusal(const std::string& target, const QuantizationJob& job) {
  const Network teacher = random_model();
  const Student form = uncalibrated(teacher, scheme_of(job, *teacher.plan));
  ExportFacts facts;
  facts.preprocessing = {.image_size = 16};
  const Export content = export_of(form, facts);
  try {
    export_target(target).check(content);
  } catch (const BadInput& error) {
    return error.what();
  }
  return "";
}

QuantizationJob recipe(const std::string& name) {
  QuantizationJob job;
  job.recipe = name;
  return job;
}

TEST(Targets, SayBeforeTheRunWhatTheyCannotTake) {
  for (const char* target : {"packed", "onnx", "openvino", "tensorrt"})
    EXPECT_EQ(refusal(target, recipe("int8")), "") << target;
  EXPECT_NE(refusal("tensorrt", research_job()).find("quantization.recipe"), std::string::npos);
  // 24 inputs are no whole block of 32: onnxruntime alone runs such tails.
  EXPECT_EQ(refusal("onnx", recipe("w4a16")), "");
  for (const char* target : {"openvino", "tensorrt"}) {
    EXPECT_NE(refusal(target, recipe("w4a16")).find("24 inputs do not divide into blocks of 32"), std::string::npos) << target;
  }
  QuantizationJob wide = research_job();
  wide.weight_format = "integer_block32";
  wide.weight_bits = 8;
  wide.activation_format = wide.attention = "uniform";
  EXPECT_NE(refusal("onnx", wide).find("integers of more than 4 bits in blocks"), std::string::npos);
  QuantizationJob logarithmic = research_job();
  logarithmic.attention = "log2";
  EXPECT_NE(refusal("onnx", logarithmic).find("'blocks.0.attn.probs', which is log2"), std::string::npos);
}

}  // namespace
}  // namespace eidolon
