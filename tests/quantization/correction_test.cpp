// Corrections on a trained model: the demo's teacher, on smooth random pictures.
#include "quantization/correction.h"

#include <filesystem>

#include "base/error.h"
#include "gtest/gtest.h"
#include "model/loading/teacher.h"
#include "quantization/calibration.h"
#include "random_model.h"
#include "tests/places.h"
#include "tests/research_job.h"

namespace eidolon {
namespace {

const Teacher& demo() {
  static const Teacher teacher = read_teacher(testing::source_folder() / "jobs" / "demo" / "teacher");
  return teacher;
}

/// Noise of a few large spots, of the teacher's scale.
Tensor pictures(const Plan& plan, int64_t count, uint64_t seed) {
  at::manual_seed(seed);
  const int64_t side = plan.attention.front().grid + 1;
  const Tensor spots = at::randn({count, plan.channels, side, side});
  return at::upsample_bilinear2d(spots, {plan.image_size, plan.image_size}, false) * 1.5;
}

QuantizationJob four_bits() {
  return research_job();
}

CalibrationSettings settings(Correction correction) {
  CalibrationSettings s;
  s.correction = correction;
  return s;
}

Student calibrated(const Network& teacher, const Tensor& images, Correction correction) {
  return calibrate(teacher, scheme_of(four_bits(), *teacher.plan), images, settings(correction));
}

double logit_quality(const Network& teacher, const Student& student, const Tensor& images) {
  const at::NoGradGuard no_gradients;
  return sqnr(forward(teacher, images), forward(student.model, images, quantizing_tap(student)));
}

/// Of the bias alone nothing is claimed here: with ranges of least squares the demo's mean errors are small, and correcting
/// them on 48 images costs this teacher 1.4 dB on others.
TEST(Correction, OfTheRoundingBringsUnseenLogitsCloserToTheTeacher) {
  const Network& teacher = demo().model;
  const Tensor images = pictures(*teacher.plan, 48, 1), unseen = pictures(*teacher.plan, 48, 2);
  const double none = logit_quality(teacher, calibrated(teacher, images, Correction::none), unseen);
  const double rounding = logit_quality(teacher, calibrated(teacher, images, Correction::rounding), unseen);
  const double ridge = logit_quality(teacher, calibrated(teacher, images, Correction::ridge), unseen);
  EXPECT_GT(rounding, none + 0.5);
  EXPECT_GT(ridge, none + 0.5);
}

/// What the section makes of its own rounding: the squared difference of its outputs with and without, on equal inputs.
std::vector<double> section_errors(const Network& teacher, const Student& student, const Tensor& images) {
  const at::NoGradGuard no_gradients;
  std::vector<double> errors;
  Tensor inputs = images;
  for (int section = 0; section < teacher.plan->section_count(); ++section) {
    const Tensor exact = forward_section(teacher, section, inputs);
    inputs = forward_section(student.model, section, inputs, quantizing_tap(student));
    errors.push_back((inputs - exact).square().mean().item<double>());
  }
  return errors;
}

/// Of the sections that are one linear layer each.
TEST(Correction, OfTheBiasMakesTheMeanOutputThatOfTheUnroundedLayer) {
  const at::NoGradGuard no_gradients;
  const Network& teacher = demo().model;
  const Plan& plan = *teacher.plan;
  const Tensor images = pictures(plan, 40, 1);
  const Student none = calibrated(teacher, images, Correction::none), bias = calibrated(teacher, images, Correction::bias);
  const Attention& attention = plan.attention.front();
  const auto patches = [&](const Tensor& tokens) {
    return tokens.narrow(1, attention.prefix_tokens, attention.grid * attention.grid).mean(at::IntArrayRef{0, 1});
  };
  const Tensor wanted = patches(forward_section(teacher, 0, images));
  const auto off = [&](const Student& student) {
    return (patches(forward_section(student.model, 0, images, quantizing_tap(student))) - wanted).abs().max().item<double>();
  };
  EXPECT_LT(off(bias), 1e-5);
  EXPECT_GT(off(none), 1e-3);

  Tensor tokens = images;
  const int head = plan.section_count() - 1;
  for (int section = 0; section < head; ++section) {
    tokens = forward_section(bias.model, section, tokens, quantizing_tap(bias));
  }
  Network unrounded = bias.model.clone();
  unrounded.parameters["head.bias"] = none.model["head.bias"];
  const Tensor logits = forward_section(bias.model, head, tokens, quantizing_tap(bias)).mean(0);
  EXPECT_LT((logits - forward_section(unrounded, head, tokens).mean(0)).abs().max().item<double>(), 1e-4);
}

/// With every weight that writes to the residual stream times a power of two, and LayerNorms without epsilon, the function is
/// the same to the last bit, and so must be the correction.
TEST(Correction, DoesNotDependOnTheScaleOfTheResidualStream) {
  VitFacts facts = small_facts();
  facts.epsilon = 0;
  const Network teacher = random_model(facts);
  const double factor = 16;
  const auto writes = [](const std::string& name) {
    return name.find("proj") != std::string::npos || name.find("fc2") != std::string::npos || name.starts_with("embed") ||
           name == "cls_token" || name == "pos_embed";
  };
  Network scaled = teacher.clone();
  for (auto& [name, parameter] : scaled.parameters) {
    if (writes(name)) parameter *= factor;
  }
  const Tensor images = random_images(*teacher.plan, 24);
  ASSERT_TRUE(at::equal(forward(teacher, images), forward(scaled, images)));
  for (const Correction correction : {Correction::bias, Correction::rounding, Correction::ridge}) {
    const Student one = calibrated(teacher, images, correction), other = calibrated(scaled, images, correction);
    for (const auto& [name, parameter] : one.model.parameters) {
      const Tensor back = other.model[name] / (writes(name) ? factor : 1.0);
      EXPECT_TRUE(at::allclose(back, parameter, 1e-5, 1e-6)) << name << (back - parameter).abs().max().item<double>();
    }
  }
}

TEST(Correction, LowersTheErrorOfEverySectionOnTheImagesItSaw) {
  const Network& teacher = demo().model;
  const Tensor images = pictures(*teacher.plan, 48, 1);
  const auto none = section_errors(teacher, calibrated(teacher, images, Correction::none), images);
  const auto ridge = section_errors(teacher, calibrated(teacher, images, Correction::ridge), images);
  for (size_t i = 0; i < none.size(); ++i) EXPECT_LT(ridge[i], none[i]) << teacher.plan->sections[i].name;
}

TEST(Correction, ChoosesPlacesForWeightsKeepsThemUndecidedAndLeavesTheTeacherAlone) {
  const Network& teacher = demo().model;
  const Network before = teacher.clone();
  const Student student = calibrated(teacher, pictures(*teacher.plan, 16, 1), Correction::ridge);
  for (const auto& [node, quantizer] : student.quantizers) {
    if (!teacher.plan->is_weight(node)) continue;
    const Tensor& weight = student.model[node];
    const Tensor step = quantizer.scale.view({-1, 1}),
                 from_place = (weight - fake_quantize(weight, quantizer)).flatten(1) / step;
    EXPECT_LT(from_place.abs().max().item<double>(), 0.4501) << teacher.plan->name(node);
    EXPECT_GT(from_place.abs().max().item<double>(), 0.3) << teacher.plan->name(node);
    EXPECT_TRUE(at::equal(quantizer.zero_point, quantizer.zero_point.round())) << teacher.plan->name(node);
  }
  for (const auto& [name, parameter] : before.parameters) EXPECT_TRUE(at::equal(parameter, teacher[name])) << name;
}

TEST(Correction, IsRepeatableToTheBit) {
  const Network& teacher = demo().model;
  const Tensor images = pictures(*teacher.plan, 16, 3);
  for (const Correction correction : {Correction::bias, Correction::rounding, Correction::ridge}) {
    const TensorMap once = student_tensors(calibrated(teacher, images, correction));
    for (const auto& [name, tensor] : student_tensors(calibrated(teacher, images, correction))) {
      EXPECT_TRUE(at::equal(tensor, once.at(name))) << name;
    }
  }
}

TEST(Correction, SurvivesDeadChannelsAndLayersThatStayFloat) {
  Network teacher = random_model();
  for (const std::string norm : {"blocks.0.norm2", "blocks.1.norm1"}) {
    teacher.parameters[norm + ".weight"].narrow(0, 3, 6).zero_();
    teacher.parameters[norm + ".bias"].narrow(0, 3, 6).zero_();
  }
  Scheme scheme = scheme_of(four_bits(), *teacher.plan);
  scheme.erase(teacher.plan->node("blocks.2.mlp.fc2.weight"));
  const Tensor images = random_images(*teacher.plan, 24), unseen = random_images(*teacher.plan, 24, 9);
  const Student plain = calibrate(teacher, scheme, images, settings(Correction::none));
  const Student ridge = calibrate(teacher, scheme, images, settings(Correction::ridge));
  for (const auto& [name, parameter] : ridge.model.parameters) EXPECT_TRUE(parameter.isfinite().all().item<bool>()) << name;
  EXPECT_GT(logit_quality(teacher, ridge, unseen), logit_quality(teacher, plain, unseen));
  EXPECT_EQ(ridge.quantizers.size(), scheme.size());
}

TEST(Correction, NamesAreTheJobs) {
  EXPECT_EQ(correction_method("ridge"), Correction::ridge);
  EXPECT_EQ(correction_method("bias"), Correction::bias);
  EXPECT_EQ(correction_method("none"), Correction::none);
  EXPECT_THROW(correction_method("aqer"), BadInput);
}

}  // namespace
}  // namespace eidolon
