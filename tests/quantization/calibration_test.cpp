#include "quantization/calibration.h"

#include <functional>
#include <limits>

#include "base/error.h"
#include "gtest/gtest.h"
#include "random_model.h"
#include "tests/research_job.h"

namespace eidolon {
namespace {

QuantizationJob bits(int64_t weights, int64_t activations) {
  QuantizationJob job = research_job();
  job.weight_bits = weights;
  job.activation_bits = activations;
  return job;
}

Tensor logits(const Student& student, const Tensor& images) {
  const at::NoGradGuard no_gradients;
  return forward(student.model, images, quantizing_tap(student));
}

double quality(const QuantizationJob& job, const CalibrationSettings& settings, const Network& teacher) {
  const Scheme scheme = scheme_of(job, *teacher.plan);
  const Student student = calibrate(teacher, scheme, random_images(*teacher.plan, 24), settings);
  const Tensor images = random_images(*teacher.plan, 16, 21);
  return sqnr(forward(teacher, images), logits(student, images));
}

TEST(Calibration, MoreBitsComeCloserToTheTeacher) {
  const Network teacher = random_model();
  const double eight = quality(bits(8, 8), {}, teacher), four = quality(bits(4, 4), {}, teacher),
               two = quality(bits(2, 2), {}, teacher);
  EXPECT_GT(eight, 25);
  EXPECT_GT(eight, four);
  EXPECT_GT(four, two);
}

TEST(Calibration, EveryCombinationOfChoicesIsCloseAtEightBits) {
  const Network teacher = random_model();
  QuantizationJob job = bits(8, 8);
  for (const bool symmetric : {false, true}) {
    job.weight_symmetric = symmetric;
    for (const bool reparameterize : {false, true}) {
      CalibrationSettings settings;
      settings.reparameterize = reparameterize;
      EXPECT_GT(quality(job, settings, teacher), 20) << symmetric << reparameterize;
    }
  }
}

/// How much reparameterization brings, in dB, over five random models: one alone may go either way.
double gain_by_reparameterization(const QuantizationJob& job, const std::function<void(Network&)>& change = {}) {
  CalibrationSettings plain;
  plain.reparameterize = false;
  double gain = 0;
  for (uint64_t seed = 3; seed < 8; ++seed) {
    Network teacher = random_model(small_facts(), seed);
    if (change) change(teacher);
    gain += (quality(job, {}, teacher) - quality(job, plain, teacher)) / 5;
  }
  return gain;
}

TEST(Calibration, ReparameterizationHelpsWhereChannelsDiffer) {
  EXPECT_GT(gain_by_reparameterization(bits(8, 4)), 1);
}

TEST(Calibration, GivesExactlyTheQuantizersOfTheScheme) {
  const Network teacher = random_model();
  Scheme scheme = scheme_of(bits(4, 4), *teacher.plan);
  scheme.erase(teacher.plan->node("blocks.1.attn.qkv.input"));
  scheme.erase(teacher.plan->node("blocks.2.mlp.fc2.weight"));
  int sections = 0;
  const Student student = calibrate(teacher, scheme, random_images(*teacher.plan, 5), {.batch = 2}, [&] { ++sections; });
  EXPECT_EQ(sections, 5);
  ASSERT_EQ(student.quantizers.size(), scheme.size());
  for (const auto& [node, spec] : scheme) {
    ASSERT_TRUE(student.quantizers.contains(node)) << teacher.plan->name(node);
    EXPECT_EQ(student.quantizers.at(node).spec, spec) << teacher.plan->name(node);
  }
  EXPECT_TRUE(at::equal(student.model["blocks.1.norm1.weight"], teacher["blocks.1.norm1.weight"]));
  EXPECT_FALSE(at::equal(student.model["blocks.0.norm1.weight"], teacher["blocks.0.norm1.weight"]));
}

TEST(Calibration, LeavesTheTeacherAloneAndTheFloatFunctionUnchanged) {
  const Network teacher = random_model();
  const Network before = teacher.clone();
  const Tensor images = random_images(*teacher.plan, 8);
  const Student student = calibrate(teacher, scheme_of(bits(4, 4), *teacher.plan), images, {});
  for (const auto& [name, parameter] : before.parameters) EXPECT_TRUE(at::equal(parameter, teacher[name])) << name;
  EXPECT_LT((forward(student.model, images) - forward(teacher, images)).abs().max().item<double>(), 1e-4);
}

TEST(Calibration, DoesNotDependOnTheBatch) {
  const Network teacher = random_model();
  const Tensor images = random_images(*teacher.plan, 8);
  const Scheme scheme = scheme_of(bits(4, 4), *teacher.plan);
  const Student whole = calibrate(teacher, scheme, images, {.reparameterize = false, .batch = 8});
  const Student split = calibrate(teacher, scheme, images, {.reparameterize = false, .batch = 3});
  for (const auto& [node, quantizer] : whole.quantizers) {
    EXPECT_TRUE(at::allclose(quantizer.scale, split.quantizers.at(node).scale, 1e-4)) << teacher.plan->name(node);
  }
}

TEST(Calibration, SurvivesDeadChannels) {
  const auto kill_channels = [](Network& teacher) {
    for (const std::string norm : {"blocks.0.norm2", "blocks.1.norm1"}) {
      teacher.parameters[norm + ".weight"].narrow(0, 3, 6).zero_();
      teacher.parameters[norm + ".bias"].narrow(0, 3, 6).zero_();
    }
  };
  for (const int64_t width : {8, 4}) EXPECT_GT(gain_by_reparameterization(bits(width, width), kill_channels), 0) << width;
}

TEST(Calibration, NamesTheNodeThatOverflows) {
  Network teacher = random_model();
  teacher.parameters["blocks.1.attn.qkv.bias"].fill_(std::numeric_limits<float>::infinity());
  try {
    calibrate(teacher, scheme_of(bits(4, 4), *teacher.plan), random_images(*teacher.plan, 2), {});
    FAIL() << "accepted";
  } catch (const Fault& fault) {
    EXPECT_NE(std::string(fault.what()).find("blocks.1.attn."), std::string::npos) << fault.what();
  }
  EXPECT_THROW(calibrate(teacher, {}, at::empty({0, 3, 16, 16}), {}), Fault);
}

}  // namespace
}  // namespace eidolon
