#include "exporting/tensorrt_rules.h"

#include <gtest/gtest.h>

#include "exporting/onnx_values.h"

namespace eidolon {
namespace {

using onnx::Model;
using onnx::Type;

/// x -> QuantizeLinear -> DequantizeLinear -> MatMul with an int8 weight, as the exporter writes it.
Model obedient() {
  Model model;
  onnx::add_input(model, {.name = "x", .type = Type::float32, .dims = {"batch", 4}});
  const Quantizer input{.spec = {.bits = 8, .symmetric = true}, .scale = at::full({1}, 0.5), .zero_point = at::zeros({1})};
  const DeployedWeight weight{.spec = {.bits = 8, .symmetric = true, .scaling = per_channel(0)},
                              .codes = at::ones({3, 4}, at::kChar),
                              .scale = at::full({3}, 0.25),
                              .zero_point = {},
                              .factor = {},
                              .float_channels = {},
                              .float_columns = {}};
  const std::string rounded = onnx::rounded(model, {.node = "fc.input", .x = "x", .channels = 4}, input);
  onnx::op(model, "fc", "MatMul", {rounded, onnx::dequantized_weight(model, "fc.weight", weight)});
  return model;
}

onnx::Initializer& initializer(Model& model, const std::string& name) {
  for (onnx::Initializer& entry : model.initializers) {
    if (entry.name == name) return entry;
  }
  throw std::out_of_range(name);
}

TEST(TensorrtRules, TakeTheExportersInt8) {
  EXPECT_TRUE(tensorrt_violations(obedient()).empty());
}

TEST(TensorrtRules, NameAZeroPoint) {
  Model model = obedient();
  initializer(model, "fc.input.zero_point").data.memory = at::ones({}, at::kChar);
  const auto violations = tensorrt_violations(model);
  ASSERT_EQ(violations.size(), 2) << "of both nodes";
  EXPECT_EQ(violations[0], "fc.input/QuantizeLinear: it has a zero point");
}

TEST(TensorrtRules, NameScalesThatAreNotPositive) {
  Model model = obedient();
  initializer(model, "fc.weight.scale").data.memory = at::tensor({0.25F, 0.0F, 0.25F});
  EXPECT_EQ(tensorrt_violations(model),
            std::vector<std::string>{"fc.weight/DequantizeLinear: its scales are not positive float32 numbers"});
}

TEST(TensorrtRules, TakeInt4InBlocksOf64Alone) {
  for (const int64_t block : {32, 64}) {
    Model model;
    const DeployedWeight weight{.spec = {.bits = 4, .symmetric = true, .scaling = per_block(1, block)},
                                .codes = at::ones({2, 128}, at::kChar),
                                .scale = at::full({2, 128 / block}, 0.25),
                                .zero_point = {},
                                .factor = {},
                                .float_channels = {},
                                .float_columns = {}};
    onnx::dequantized_weight(model, "fc.weight", weight);
    EXPECT_EQ(tensorrt_violations(model).size(), block == 64 ? 0 : 1) << block;
  }
}

TEST(TensorrtRules, NameBytes) {
  Model model = obedient();
  model.inputs[0].type = Type::uint8;
  EXPECT_EQ(tensorrt_violations(model), std::vector<std::string>{"x: it is uint8"});
}

TEST(TensorrtRules, NameASumOfWhatWasQuantized) {
  Model model = obedient();
  onnx::op(model, "residual", "Add", {"fc.input/DequantizeLinear", "x"});
  EXPECT_EQ(tensorrt_violations(model), std::vector<std::string>{"residual/Add: Add reads what was quantized"});
}

TEST(TensorrtRules, NameActivationsWithSeveralScales) {
  Model model = obedient();
  initializer(model, "fc.input.scale").data = onnx::from_tensor(at::full({4}, 0.5));
  EXPECT_EQ(tensorrt_violations(model)[0], "fc.input/QuantizeLinear: an activation with several scales");
}

}  // namespace
}  // namespace eidolon
