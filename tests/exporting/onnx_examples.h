// Two small models that together use every element type and every kind of attribute. scripts/references/
// make_onnx_references.py makes the same ones with the official package, from the same formulas.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "exporting/onnx_model.h"

namespace eidolon::onnx::testing {

/// (step * i + 3) mod `count` + lowest, int64, of the given sizes.
inline Tensor pattern(const std::vector<int64_t>& sizes, int64_t step, int64_t count, int64_t lowest) {
  int64_t elements = 1;
  for (const int64_t size : sizes) elements *= size;
  return at::arange(elements, at::kLong).mul(step).add(3).remainder(count).add(lowest).reshape(sizes);
}

/// Powers of two from 2^-5 to 2^-3, which every arithmetic divides and multiplies by without rounding.
inline Tensor scales(const std::vector<int64_t>& sizes) {
  return at::exp2(pattern(sizes, 1, 3, -5).to(at::kFloat));
}

/// Three products with weights in int8 (a scale per column), int4 (a scale per block of 8 rows) and FP8. Opset 21.
inline Model quantized_model() {
  Model model{.producer_name = "eidolon",
              .producer_version = "1.2.3",
              .doc_string = "three products",
              .metadata = {{"model", "ünïcode"}, {"bits", "8"}},
              .graph_name = "quantized"};
  add_input(model, {"x", Type::float32, {"batch", 32}});

  const auto product = [&](const std::string& place, const std::string& input, const std::string& weight,
                           const std::string& scale, std::vector<Attribute> attributes) {
    const std::string values = add_node(model, place, {"DequantizeLinear", {weight, scale}, std::move(attributes)});
    return add_node(model, place, {"MatMul", {input, values}});
  };
  const auto constant = [&](const std::string& place, Attribute value) {
    return add_node(model, place, {"Constant", {}, {std::move(value)}});
  };

  add_initializer(model, "first.weight", from_tensor(pattern({32, 16}, 7, 255, -127).to(at::kChar)));
  add_initializer(model, "first.scale", from_tensor(scales({16})));
  std::string y = product("first", "x", "first.weight", "first.scale", {{"axis", 1}});
  y = add_node(model, "first", {"Add", {y, constant("first", {"value_floats", std::vector<float>(16, 0.25F)})}});
  y = add_node(model, "first", {"LeakyRelu", {y}, {{"alpha", 0.125F}}});

  add_initializer(model, "second.weight", packed_nibbles(pattern({16, 8}, 5, 16, -8).to(at::kChar), Type::int4));
  add_initializer(model, "second.scale", from_tensor(scales({2, 8})));
  y = product("second", y, "second.weight", "second.scale", {{"axis", 0}, {"block_size", 8}});
  y = add_node(model, "second", {"Gelu", {y}, {{"approximate", "tanh"}}});
  y = add_node(model, "second", {"Add", {y, constant("second", {"value", from_tensor(scales({8}))})}});

  add_initializer(model, "third.weight", from_bits(pattern({8, 5}, 11, 120, 0).to(at::kByte), Type::float8e4m3fn));
  add_initializer(model, "third.scale", from_tensor(at::full({}, 0.5F)));
  y = product("third", y, "third.weight", "third.scale", {});
  y = add_node(model, "third", {"Transpose", {y}, {{"perm", std::vector<int64_t>{1, 0}}}});
  add_output(model, y, {"logits", Type::float32, {5, "batch"}});
  return model;
}

/// A tensor of every type, 3 x 5 (an odd count of nibbles), each cast to float32 as an output of its own. Opset 24.
inline Model types_model() {
  Model model{.opset = 24, .ir_version = ir_version_for(24), .graph_name = "types"};
  const Tensor small = pattern({3, 5}, 5, 16, 0);  // all bit patterns but one of 4 bits
  const Tensor bytes = pattern({3, 5}, 17, 120, 0).to(at::kByte);
  const std::vector<Initializer> tensors{
      {"float32", from_tensor(small.to(at::kFloat).div(3))},
      {"uint8", from_tensor(bytes)},
      {"int8", from_tensor(small.sub(8).to(at::kChar))},
      {"int32", from_tensor(small.sub(70000).to(at::kInt))},
      {"int64", from_tensor(small.sub(8))},
      {"boolean", from_tensor(small.gt(7))},
      {"float16", from_tensor(small.to(at::kFloat).div(3).to(at::kHalf))},
      {"bfloat16", from_tensor(small.to(at::kFloat).div(3).to(at::kBFloat16))},
      {"float8e4m3fn", from_bits(bytes, Type::float8e4m3fn)},
      {"float8e5m2", from_bits(bytes, Type::float8e5m2)},
      {"uint4", packed_nibbles(small.to(at::kByte), Type::uint4)},
      {"int4", packed_nibbles(small.sub(8).to(at::kChar), Type::int4)},
      {"float4e2m1", packed_nibbles(small.to(at::kByte), Type::float4e2m1)},
      {"float8e8m0", from_bits(small.add(120).to(at::kByte), Type::float8e8m0)},
  };
  for (const auto& [name, data] : tensors) {
    add_initializer(model, name, data);
    const std::string values = add_node(model, name, {"Cast", {name}, {{"to", static_cast<int64_t>(Type::float32)}}});
    add_output(model, values, {"of " + name, Type::float32, {3, 5}});
  }
  return model;
}

}  // namespace eidolon::onnx::testing
