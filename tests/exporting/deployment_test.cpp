#include "exporting/deployment.h"

#include <gtest/gtest.h>

#include <string>

#include "quantization/calibration.h"
#include "tests/quantization/random_model.h"

namespace eidolon {
namespace {

Student student_of(const QuantizationJob& job) {
  Network teacher = random_model();
  teacher.parameters["blocks.1.mlp.fc1.bias"][11] = 300.0;  // an outlier channel behind GELU
  teacher.parameters["blocks.1.mlp.fc2.weight"].select(1, 11).mul_(0.01);
  return calibrate(teacher, scheme_of(job, *teacher.plan), random_images(*teacher.plan, 8), calibration_settings(job));
}

QuantizationJob recipe(const std::string& name) {
  QuantizationJob job;
  job.recipe = name;
  return job;
}

/// The deployed arithmetic, without any of the student's own: codes, scales, shifts and float columns alone.
Tensor deployed_forward(const Deployment& deployment, const Tensor& images) {
  const Plan& plan = *deployment.plan;
  Network network{deployment.plan, deployment.parameters};
  for (const auto& [node, weight] : deployment.weights) {
    Tensor& values = network.parameters[plan.name(node)] = dequantized(weight);
    if (weight.left.defined()) values = values + at::mm(weight.left, weight.right).view(values.sizes());
  }
  std::map<NodeId, const DeployedWeight*> beside;  // inputs with float channels
  for (const Product& product : plan.products) {
    const auto found = deployment.weights.find(product.weight);
    if (found != deployment.weights.end() && found->second.float_channels.defined()) beside[product.input] = &found->second;
  }
  return forward(network, images, [&](NodeId node, const Tensor& tensor) {
    if (plan.is_weight(node)) {
      const auto found = deployment.weights.find(node);
      if (found == deployment.weights.end() || !found->second.float_channels.defined()) return tensor;
      return tensor.index_copy(1, found->second.float_channels, found->second.float_columns);
    }
    const auto shift = deployment.shifts.find(node);
    const Tensor x = shift == deployment.shifts.end() ? tensor : tensor - shift->second;
    const auto quantizer = deployment.activations.find(node);
    return quantizer == deployment.activations.end() ? x : fake_quantize(x, quantizer->second);
  });
}

TEST(Deployment, WithFoldedShiftsIsTheStudent) {
  const at::NoGradGuard no_gradients;
  for (const char* name : {"int8", "w4a8", "w4a16", "fp8", "mxfp4", "nvfp4", "w4a8 and low_rank"}) {
    const std::string text = name;
    QuantizationJob job = recipe(text.substr(0, text.find(' ')));
    if (text.ends_with("low_rank")) job.correction = "low_rank";
    const Student student = student_of(job);
    const Deployment deployment = with_shifts(deploy(student), ShiftedInputs::of_matrices);
    const Tensor images = random_images(*deployment.plan, 32, 9);
    const Tensor expected = forward(student.model, images, quantizing_tap(student));
    // What a tie turns over spreads: a bound on single logits would be useless.
    EXPECT_GT(sqnr(expected, deployed_forward(deployment, images)), 45) << name;
    for (const auto& [node, quantizer] : deployment.activations)
      EXPECT_EQ(quantizer.zero_point.abs().max().item<float>(), 0) << name << " " << deployment.plan->name(node);
    for (const auto& [node, weight] : deployment.weights) EXPECT_FALSE(weight.zero_point.defined()) << name;
  }
}

TEST(Deployment, ShiftsGoIntoNormsAndValuesAndStayBehindGelu) {
  const Student student = student_of(recipe("int8"));
  const Deployment deployment = with_shifts(deploy(student), ShiftedInputs::of_matrices);
  const Plan& plan = *deployment.plan;
  for (const auto& [node, shift] : deployment.shifts) {
    EXPECT_TRUE(plan.name(node).ends_with("mlp.fc2.input")) << plan.name(node);
    EXPECT_NE(shift, 0);
  }
  EXPECT_EQ(deployment.shifts.size(), 3);
  EXPECT_FALSE(at::equal(deployment.parameters.at("blocks.0.norm1.bias"), student.model["blocks.0.norm1.bias"]));
  const Tensor &bias = deployment.parameters.at("blocks.0.attn.qkv.bias"), &before = student.model["blocks.0.attn.qkv.bias"];
  EXPECT_EQ(bias.size(0), before.size(0));
}

TEST(Deployment, KeptZeroPointsChangeNoParameter) {
  const Student student = student_of(recipe("int8"));
  const Deployment deployment = deploy(student);
  EXPECT_TRUE(deployment.shifts.empty());
  for (const auto& [name, parameter] : deployment.parameters) EXPECT_TRUE(at::equal(parameter, student.model[name])) << name;
}

TEST(Deployment, QuantizedProbabilitiesLeaveTheShiftOfTheValuesToTheExport) {
  QuantizationJob job = recipe("research");
  job.activation_format = job.attention = "uniform";
  job.attention_granularity = "tensor";
  job.activation_bits = job.weight_bits = 8;
  const Student student = student_of(job);
  const Deployment deployment = with_shifts(deploy(student), ShiftedInputs::of_matrices);
  EXPECT_TRUE(deployment.shifts.contains(deployment.plan->node("blocks.0.attn.proj.input")));
  const at::NoGradGuard no_gradients;
  const Tensor images = random_images(*deployment.plan, 16, 9);
  const Tensor expected = forward(student.model, images, quantizing_tap(student));
  EXPECT_GT(sqnr(expected, deployed_forward(deployment, images)), 15);
}

TEST(Deployment, WeightsAreTheStudentsRoundedOnes) {
  const at::NoGradGuard no_gradients;
  for (const char* name : {"int8", "w4a16", "fp8", "mxfp8", "mxfp4", "nvfp4", "research"}) {
    const Student student = student_of(recipe(name));
    const Student rounded = with_rounded_weights(student);
    for (const auto& [node, weight] : deploy(student).weights) {
      Tensor values = dequantized(weight);
      if (weight.float_channels.defined()) values = values.index_copy(1, weight.float_channels, weight.float_columns);
      EXPECT_TRUE(at::equal(values, rounded.model[node])) << name << " " << student.model.plan->name(node);
    }
  }
}

}  // namespace
}  // namespace eidolon
