#include "quantization/float_channels.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/error.h"
#include "quantization/calibration.h"
#include "random_model.h"
#include "specs.h"
#include "tests/device/test_device.h"

namespace eidolon {
namespace {

/// Extremes of 32 channels that reach 5, but for those given.
Tensor reach(const std::vector<std::pair<int64_t, double>>& outliers) {
  Tensor high = at::full({32}, 5.0);
  for (const auto& [channel, value] : outliers) high[channel] = value;
  return high;
}

std::vector<int64_t> chosen(const Tensor& high, int64_t most) {
  const Tensor channels = outlier_channels(at::full({32}, -0.2), high, most);
  if (!channels.defined()) return {};
  const Tensor indices = channels.to(at::kLong);
  return {indices.const_data_ptr<int64_t>(), indices.const_data_ptr<int64_t>() + indices.numel()};
}

TEST(FloatChannels, AreThoseWithoutWhichTheRestGainsABit) {
  EXPECT_EQ(chosen(reach({{17, 211}}), 8), (std::vector<int64_t>{17}));
  EXPECT_EQ(chosen(reach({{17, 211}, {3, 190}}), 8), (std::vector<int64_t>{3, 17})) << "in ascending order";
  EXPECT_EQ(chosen(reach({{17, 40}, {3, 19}}), 8), (std::vector<int64_t>{3, 17}));
  EXPECT_TRUE(chosen(reach({{17, 9}}), 8).empty()) << "less than a bit";
  EXPECT_TRUE(chosen(reach({}), 8).empty());
}

TEST(FloatChannels, AreNoMoreThanAllowed) {
  EXPECT_TRUE(chosen(reach({{17, 211}}), 0).empty());
  std::vector<std::pair<int64_t, double>> nine;
  for (int64_t channel = 0; channel < 9; ++channel) nine.emplace_back(channel, 211);
  EXPECT_TRUE(chosen(reach(nine), 8).empty()) << "taking eight gains nothing while the ninth stays";
  nine.pop_back();
  EXPECT_EQ(chosen(reach(nine), 8).size(), 8);
}

TEST(FloatChannels, CountBothSidesOfARange) {
  const Tensor low = at::full({8}, -1.0), high = at::full({8}, 1.0);
  low[2] = -90.0;
  const Tensor channels = outlier_channels(low, high, 8);
  ASSERT_TRUE(channels.defined());
  EXPECT_TRUE(at::equal(channels, at::full({1}, 2.0)));
}

TEST(FloatChannels, PassUnroundedAndHaveNoCodes) {
  at::manual_seed(1);
  const Tensor x = at::randn({5, 6}).set_requires_grad(true);
  Quantizer quantizer = fitted({at::full({1}, -2.0), at::full({1}, 2.0)}, spec_of(formats::uniform, 4, true));
  const Tensor plain = fake_quantize(x, quantizer);
  quantizer.float_channels = at::tensor({1.0F, 4.0F});
  const Tensor y = fake_quantize(x, quantizer);
  for (const int64_t channel : {0, 2, 3, 5}) EXPECT_TRUE(at::equal(y.select(1, channel), plain.select(1, channel)));
  for (const int64_t channel : {1, 4}) EXPECT_TRUE(at::equal(y.select(1, channel), x.select(1, channel)));
  EXPECT_FALSE(at::equal(y, plain));

  y.sum().backward();
  EXPECT_TRUE(at::equal(x.grad().select(1, 1), at::ones({5}))) << "the identity";

  const Tensor back = dequantize(quantize_to_codes(x.detach(), quantizer), quantizer);
  EXPECT_TRUE(at::equal(back.select(1, 4), at::zeros({5})));
  EXPECT_TRUE(at::equal(back.select(1, 3), plain.detach().select(1, 3)));
}

/// A teacher with one channel behind GELU that reaches far, as block 7 of ViT-Tiny has.
Network teacher_with_outlier() {
  Network teacher = random_model();
  teacher.parameters["blocks.1.mlp.fc1.bias"][11] = 300.0;
  teacher.parameters["blocks.1.mlp.fc2.weight"].select(1, 11).mul_(0.01);
  return teacher;
}

TEST(FloatChannels, AreFoundByCalibrationAndSharedWithTheWeight) {
  const Network teacher = teacher_with_outlier();
  const Plan& plan = *teacher.plan;
  QuantizationJob job;
  job.recipe = "int8";
  const Tensor images = random_images(plan, 16);
  const Student student = calibrate(teacher, scheme_of(job, plan), images, calibration_settings(job));
  for (const char* node : {"blocks.1.mlp.fc2.input", "blocks.1.mlp.fc2.weight"}) {
    const Quantizer& quantizer = student.quantizers.at(plan.node(node));
    ASSERT_TRUE(quantizer.float_channels.defined()) << node;
    EXPECT_TRUE(at::equal(quantizer.float_channels.cpu(), at::full({1}, 11.0))) << node;
  }
  EXPECT_FALSE(student.quantizers.at(plan.node("blocks.1.attn.qkv.input")).float_channels.defined()) << "folded instead";

  const at::NoGradGuard no_gradients;
  job.float_channels = 0;
  const Student plain = calibrate(teacher, scheme_of(job, plan), images, calibration_settings(job));
  const auto step = [&](const Student& of) {
    return of.quantizers.at(plan.node("blocks.1.mlp.fc2.input")).scale.item<float>();
  };
  EXPECT_LT(step(student), step(plain) / 20);
  const Tensor fresh = random_images(plan, 64, 23), exact = forward(teacher, fresh);
  EXPECT_GT(sqnr(exact, forward(student.model, fresh, quantizing_tap(student))),
            sqnr(exact, forward(plain.model, fresh, quantizing_tap(plain))));
}

TEST(FloatChannels, AreKeptByCheckpointsAndRefusedWhereTheyCannotBe) {
  const Network teacher = teacher_with_outlier();
  const Plan& plan = *teacher.plan;
  QuantizationJob job;
  job.recipe = "int8";
  const Scheme scheme = scheme_of(job, plan);
  const Student student = calibrate(teacher, scheme, random_images(plan, 8), calibration_settings(job));
  TensorMap tensors = student_tensors(student);
  const std::string name = "quantizers/blocks.1.mlp.fc2.input/float_channels";
  ASSERT_TRUE(tensors.contains(name));
  const Student back = student_from_tensors(tensors, scheme, student.model.plan);
  const Tensor channels = back.quantizers.at(plan.node("blocks.1.mlp.fc2.input")).float_channels;
  EXPECT_TRUE(at::equal(channels.cpu(), at::full({1}, 11.0)));
  for (const Tensor& wrong :
       {at::full({1}, 48.0), at::full({1}, -1.0), at::full({1}, 0.5), at::full({2}, 3.0), at::empty({0})}) {
    tensors[name] = wrong.to(test_device());
    EXPECT_THROW(student_from_tensors(tensors, scheme, student.model.plan), Fault) << wrong;
  }
}

}  // namespace
}  // namespace eidolon
