#include "exporting/onnx_model.h"

#include <gtest/gtest.h>

#include "tests/exporting/onnx_examples.h"
#include "tests/storage/expect_error.h"

namespace eidolon::onnx {
namespace {

using Names = std::vector<std::string>;

Model model_of_x() {
  Model model;
  add_input(model, {"x", Type::float32, {"batch", 4}});
  return model;
}

TEST(OnnxModel, NodesGetReadableNamesOfTheirOwn) {
  Model model = model_of_x();
  EXPECT_EQ(add_node(model, "blocks.0.attn.qkv", {"MatMul", {"x", "x"}}), "blocks.0.attn.qkv/MatMul");
  EXPECT_EQ(add_node(model, "blocks.0.attn.qkv", {"MatMul", {"x", "x"}}), "blocks.0.attn.qkv/MatMul_2");
  EXPECT_EQ(add_node(model, "blocks.0.attn.qkv", {"MatMul", {"x", "x"}}), "blocks.0.attn.qkv/MatMul_3");
  EXPECT_EQ(add_node_with_outputs(model, "a", {"Split", {"x"}}, 2), (Names{"a/Split:0", "a/Split:1"}));
  EXPECT_EQ(model.nodes.back().name, "a/Split");
  check_model(model);
}

TEST(OnnxModel, NamesThatAreTakenAreRefused) {
  Model model = model_of_x();
  const TensorData one = from_tensor(at::ones({1}));
  EXPECT_EQ(add_initializer(model, "w", one), "w");
  EXPECT_ERROR(Fault, "'w' is given twice", add_initializer(model, "w", one));
  EXPECT_ERROR(Fault, "'x' is given twice", add_initializer(model, "x", one));
  EXPECT_ERROR(Fault, "'w' is given twice", add_input(model, {"w", Type::float32, {}}));
  EXPECT_ERROR(Fault, "has no name", add_initializer(model, "", one));
  model.initializers.push_back({"w", one});  // past the functions
  EXPECT_ERROR(Fault, "'w' is given twice", check_model(model));
}

TEST(OnnxModel, AnOutputIsRenamedWhereverItIsRead) {
  Model model = model_of_x();
  const std::string y = add_node(model, "a", {"Relu", {"x"}});
  add_node(model, "b", {"Relu", {y}});
  add_output(model, y, {"features", Type::float32, {"batch", 4}});
  EXPECT_EQ(model.nodes[0].outputs, Names{"features"});
  EXPECT_EQ(model.nodes[1].inputs, Names{"features"});
  check_model(model);
  EXPECT_ERROR(Fault, "'nothing' cannot become an output", add_output(model, "nothing", {"z", Type::float32, {}}));
}

TEST(OnnxModel, WhatCouldNotRunIsRefused) {
  Model late = model_of_x();
  late.nodes = {{.op = "Relu", .name = "a", .inputs = {"y"}, .outputs = {"z"}},
                {.op = "Relu", .name = "b", .inputs = {"x"}, .outputs = {"y"}}};
  EXPECT_ERROR(Fault, "'a' reads 'y'", check_model(late));

  Model foreign = model_of_x();
  add_node(foreign, "a", {"QGelu", {"x", ""}, {}, "com.microsoft"});
  EXPECT_ERROR(Fault, "domain 'com.microsoft'", check_model(foreign));
  foreign.other_opsets["com.microsoft"] = 1;
  check_model(foreign);

  Model open = model_of_x();
  open.outputs = {{"y", Type::float32, {}}};
  EXPECT_ERROR(Fault, "nothing gives the output 'y'", check_model(open));

  Model model = model_of_x();
  EXPECT_ERROR(Fault, "bytes of its type and sizes", add_initializer(model, "w", {Type::float32, {3}, at::ones({2})}));
  EXPECT_ERROR(Fault, "bytes of its type and sizes",
               add_initializer(model, "w", {Type::float32, {2}, at::ones({4}).slice(0, 0, 4, 2)}));
  EXPECT_ERROR(Fault, "bytes of its type and sizes", add_initializer(model, "w", {Type::float32, {2}, {}}));
}

// onnx.helper.find_min_ir_version_for() of onnx 1.23.2; onnx_package_test.py asks it again.
TEST(OnnxModel, EveryOpsetHasItsVersionOfTheFileFormat) {
  EXPECT_EQ(ir_version_for(21), 10);
  EXPECT_EQ(ir_version_for(22), 10);
  EXPECT_EQ(ir_version_for(23), 11);
  EXPECT_EQ(ir_version_for(24), 12);
  EXPECT_ERROR(Fault, "21 to 24, not 20", ir_version_for(20));
  EXPECT_ERROR(Fault, "21 to 24, not 25", ir_version_for(25));
}

TEST(OnnxModel, TheExamplesAreSound) {
  check_model(testing::quantized_model());
  check_model(testing::types_model());
}

}  // namespace
}  // namespace eidolon::onnx
