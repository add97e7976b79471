#include "quantization/student.h"

#include "base/error.h"
#include "gtest/gtest.h"
#include "quantization/calibration.h"
#include "random_model.h"
#include "tests/research_job.h"

namespace eidolon {
namespace {

Student small_student() {
  const Network teacher = random_model();
  return calibrate(teacher, scheme_of(research_job(), *teacher.plan), random_images(*teacher.plan, 4), {});
}

Scheme scheme_behind(const Student& student) {
  Scheme scheme;
  for (const auto& [node, quantizer] : student.quantizers) scheme[node] = quantizer.spec;
  return scheme;
}

TEST(Student, RoundedWeightsWithActivationTapGiveTheSameBits) {
  const at::NoGradGuard no_gradients;
  const Student student = small_student();
  const Student rounded = with_rounded_weights(student);
  const Tensor images = random_images(*student.model.plan, 6, 11);
  const Tensor both = forward(student.model, images, quantizing_tap(student));
  EXPECT_TRUE(at::equal(both, forward(rounded.model, images, activation_tap(rounded))));
  EXPECT_FALSE(at::equal(both, forward(student.model, images)));
}

TEST(Student, SurvivesTensors) {
  const Student student = small_student();
  const TensorMap tensors = student_tensors(student);
  EXPECT_TRUE(tensors.contains("student/blocks.2.mlp.fc2.bias"));
  EXPECT_TRUE(tensors.contains("quantizers/blocks.0.attn.probs/scale"));
  const Student back = student_from_tensors(tensors, scheme_behind(student), student.model.plan);
  EXPECT_EQ(scheme_behind(back), scheme_behind(student));
  const TensorMap again = student_tensors(back);
  ASSERT_EQ(again.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) EXPECT_TRUE(at::equal(tensor, again.at(name))) << name;
}

TEST(Student, NamesWhatAStoredOneLacks) {
  const Student student = small_student();
  const Scheme scheme = scheme_behind(student);
  const auto message_without = [&](const std::string& name, const Tensor& instead) -> std::string {
    TensorMap tensors = student_tensors(student);
    tensors.erase(name);
    if (instead.defined()) tensors[name] = instead;
    try {
      student_from_tensors(tensors, scheme, student.model.plan);
    } catch (const Fault& fault) {
      return fault.what();
    }
    return "accepted";
  };
  const std::string parameter = "student/blocks.1.norm2.bias", scale = "quantizers/head.weight/scale",
                    zero_point = "quantizers/head.input/zero_point";
  for (const std::string& name : {parameter, scale, zero_point}) {
    EXPECT_NE(message_without(name, {}).find("lacks '" + name + "'"), std::string::npos);
    EXPECT_NE(message_without(name, at::ones({3, 3})).find("'" + name + "' of shape [3, 3]"), std::string::npos);
  }
  EXPECT_NE(message_without(scale, at::zeros({10})).find("'" + scale + "'"), std::string::npos);
  EXPECT_NE(message_without(zero_point, at::full({1}, 0.5f)).find("'" + zero_point + "'"), std::string::npos);
}

TEST(Student, CloneSharesNothing) {
  const Student student = small_student();
  const Student copy = student.clone();
  copy.model["head.bias"].fill_(7);
  const NodeId head_input = student.model.plan->node("head.input");
  copy.quantizers.at(head_input).scale.fill_(7);
  EXPECT_NE(student.model["head.bias"][0].item<float>(), 7);
  EXPECT_NE(student.quantizers.at(head_input).scale.item<float>(), 7);
}

TEST(Student, GradientsReachWeightsAndScales) {
  Student student = small_student().clone();
  for (auto& [name, parameter] : student.model.parameters) parameter.requires_grad_();
  for (auto& [node, quantizer] : student.quantizers) quantizer.scale.requires_grad_();
  forward(student.model, random_images(*student.model.plan, 2), quantizing_tap(student)).square().sum().backward();
  for (const auto& [name, parameter] : student.model.parameters) EXPECT_TRUE(parameter.grad().defined()) << name;
  for (const auto& [node, quantizer] : student.quantizers) {
    ASSERT_TRUE(quantizer.scale.grad().defined()) << student.model.plan->name(node);
    EXPECT_TRUE(quantizer.scale.grad().isfinite().all().item<bool>()) << student.model.plan->name(node);
  }
}

}  // namespace
}  // namespace eidolon
