// The number formats that a job may name, from the job's text to a calibrated student.
#include <gtest/gtest.h>

#include "base/error.h"
#include "job/number_formats.h"
#include "job/schema.h"
#include "quantization/calibration.h"
#include "tests/quantization/random_model.h"
#include "tests/research_job.h"

namespace eidolon {
namespace {

std::vector<std::string> choices_of(const std::string& name) {
  std::vector<std::string> choices;
  const Job job;
  visit_keys(job, [&](const Key& key, const auto&) {
    if (full_name(key) == name) choices.assign(key.allowed.choices.begin(), key.allowed.choices.end());
  });
  return choices;
}

QuantizationJob with_formats(const std::string& weights, const std::string& activations, const std::string& attention) {
  QuantizationJob job = research_job();
  job.weight_format = weights;
  job.activation_format = activations;
  job.attention = attention;
  job.correction = "none";
  return job;
}

std::shared_ptr<const Plan> plan() {
  return small_plan();
}

TEST(HardwareFormats, OfTheSchemaAreKnownWithTheirBits) {
  const NodeId weight = plan()->node("blocks.1.mlp.fc1.weight"), input = plan()->node("blocks.1.mlp.fc2.input"),
               probabilities = plan()->node("blocks.1.attn.probs");
  const std::vector<std::string> weights = choices_of("quantization.weight_format"),
                                 activations = choices_of("quantization.activation_format"),
                                 attentions = choices_of("quantization.attention");
  EXPECT_EQ(weights.size(), 12u);
  EXPECT_EQ(activations.size(), 10u);
  EXPECT_EQ(attentions.size(), 12u);
  for (const std::string& name : weights) {
    const QuantizerSpec spec = scheme_of(with_formats(name, "uniform", "uniform"), *plan()).at(weight);
    EXPECT_EQ(spec.bits, own_bits(name).value_or(4)) << name;
    EXPECT_FALSE(spec.scaling.from_values) << name;
  }
  for (const std::string& name : activations) {
    const QuantizerSpec spec = scheme_of(with_formats("integer", name, "uniform"), *plan()).at(input);
    EXPECT_EQ(spec.bits, own_bits(name).value_or(4)) << name;
    EXPECT_EQ(spec.scaling.from_values, name.starts_with("mx") || name.starts_with("nv")) << name;
  }
  for (const std::string& name : attentions) {
    const QuantizerSpec spec = scheme_of(with_formats("integer", "uniform", name), *plan()).at(probabilities);
    EXPECT_EQ(spec.bits, own_bits(name).value_or(4)) << name;
  }
}

TEST(HardwareFormats, HaveBlocksAlongTheAxisThatAProductSums) {
  const Scheme scheme = scheme_of(with_formats("nvfp4", "mxfp4", "mxfp8_e4m3"), *plan());
  const auto scaling = [&](const std::string& name) { return scheme.at(plan()->node(name)).scaling; };
  EXPECT_EQ(scaling("blocks.0.attn.qkv.weight"), per_block(1, 16, ScaleFormat::e4m3));
  EXPECT_EQ(scaling("blocks.0.attn.qkv.input"), per_block(-1, 32, ScaleFormat::e8m0, true));
  EXPECT_EQ(scaling("blocks.0.attn.q"), per_block(-1, 32, ScaleFormat::e8m0, true));
  EXPECT_EQ(scaling("blocks.0.attn.v"), per_block(2, 32, ScaleFormat::e8m0, true));
  EXPECT_EQ(scaling("blocks.0.attn.probs"), per_block(-1, 32, ScaleFormat::e8m0, true));
  EXPECT_EQ(scheme_of(with_formats("integer_block64", "uniform", "uniform"), *plan()).at(plan()->node("head.weight")).scaling,
            per_block(1, 64));
  EXPECT_EQ(scheme_of(with_formats("fp8_e5m2", "uniform", "uniform"), *plan()).at(plan()->node("head.weight")).scaling,
            per_channel(0));
}

TEST(HardwareFormats, SurviveTheManifest) {
  for (const std::string& name : choices_of("quantization.weight_format")) {
    const std::string other = own_bits(name) ? name : "companded";
    const Scheme scheme = scheme_of(with_formats(name, other, other), *plan());
    EXPECT_EQ(scheme_from_json(scheme_to_json(scheme, *plan()), *plan()), scheme) << name;
  }
}

TEST(HardwareFormats, KeepTheirBitsWhateverARuleSays) {
  QuantizationJob job = with_formats("mxfp4", "mxfp4", "mxfp4");
  job.bits_for = "blocks.0.*: 8";
  EXPECT_THROW(scheme_of(job, *plan()), BadInput);
  job.bits_for = "blocks.0.*: 4, head.*: float";
  EXPECT_FALSE(scheme_of(job, *plan()).contains(plan()->node("head.weight")));
}

TEST(HardwareFormats, MakeBetterStudentsWithMoreBits) {
  const Network teacher = random_model(small_facts());
  const Tensor images = random_images(*teacher.plan, 16), unseen = random_images(*teacher.plan, 16, 9);
  const at::NoGradGuard no_gradients;
  const Tensor exact = forward(teacher, unseen);
  std::map<std::string, double> quality;
  for (const std::string name : {"mxfp8_e4m3", "mxfp6_e2m3", "nvfp4", "mxfp4", "fp8_e4m3"}) {
    const Student student = calibrate(teacher, scheme_of(with_formats(name, name, name), *teacher.plan), images, {});
    EXPECT_EQ(unsound_tensor(student), std::nullopt) << name;
    quality[name] = sqnr(exact, forward(student.model, unseen, quantizing_tap(student)));
    const Student back =
        student_from_tensors(student_tensors(student), scheme_of(with_formats(name, name, name), *teacher.plan), teacher.plan);
    EXPECT_TRUE(
        at::equal(forward(back.model, unseen, quantizing_tap(back)), forward(student.model, unseen, quantizing_tap(student))))
        << name;
    const Student rounded = with_rounded_weights(student);
    EXPECT_TRUE(at::equal(forward(rounded.model, unseen, activation_tap(rounded)),
                          forward(student.model, unseen, quantizing_tap(student))))
        << name;
  }
  EXPECT_GT(quality["mxfp6_e2m3"], 14);
  EXPECT_GT(quality["mxfp8_e4m3"], 14);
  EXPECT_GT(quality["fp8_e4m3"], 14);
  EXPECT_GT(quality["mxfp6_e2m3"], quality["nvfp4"] + 5);
  EXPECT_GT(quality["nvfp4"], quality["mxfp4"]);
  EXPECT_GT(quality["mxfp4"], 5);
}

}  // namespace
}  // namespace eidolon
