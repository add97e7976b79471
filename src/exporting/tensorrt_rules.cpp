#include "exporting/tensorrt_rules.h"

#include <algorithm>
#include <map>
#include <variant>

namespace eidolon {
namespace {

using onnx::Initializer;
using onnx::Model;
using onnx::Node;
using onnx::TensorData;
using onnx::Type;

/// Where each value comes from and goes to.
struct Wiring {
  std::map<std::string, const TensorData*> constants;
  std::map<std::string, const Node*> makers;
  std::map<std::string, std::vector<const Node*>> readers;
};

Wiring wiring_of(const Model& model) {
  Wiring wiring;
  for (const Initializer& initializer : model.initializers) wiring.constants[initializer.name] = &initializer.data;
  for (const Node& node : model.nodes) {
    for (const std::string& output : node.outputs) wiring.makers[output] = &node;
    for (const std::string& input : node.inputs) wiring.readers[input].push_back(&node);
  }
  return wiring;
}

bool is_quantizing(const Node& node) {
  return node.op == "QuantizeLinear" || node.op == "DequantizeLinear";
}

bool all_zero(const TensorData& data) {
  return std::ranges::all_of(onnx::bytes_of(data), [](std::byte byte) { return byte == std::byte{0}; });
}

bool all_positive(const TensorData& data) {
  const Tensor& scales = data.memory;
  return at::logical_and(scales > 0, scales.isfinite()).all().item<bool>();
}

const TensorData* constant(const Wiring& wiring, const std::string& name) {
  const auto found = wiring.constants.find(name);
  return found == wiring.constants.end() ? nullptr : found->second;
}

/// Of the codes: those that are stored, or what the zero point says of those that are computed.
bool takes(Type type) {
  return type == Type::int8 || type == Type::int4 || type == Type::float8e4m3fn;
}

bool has_int4_blocks(const Node& node) {
  for (const onnx::Attribute& attribute : node.attributes) {
    const int64_t* size = attribute.name == "block_size" ? std::get_if<int64_t>(&attribute.value) : nullptr;
    if (size != nullptr) return *size == 64 || *size == 128;
  }
  return false;
}

void check_parameters(const Wiring& wiring, const Node& node, std::vector<std::string>& violations) {
  const TensorData *scale = constant(wiring, node.inputs[1]),
                   *zero_point = node.inputs.size() > 2 ? constant(wiring, node.inputs[2]) : nullptr;
  if (scale == nullptr) {
    violations.push_back(node.name + ": its scale is computed");
  } else if (scale->type != Type::float32 || !all_positive(*scale)) {
    violations.push_back(node.name + ": its scales are not positive float32 numbers");
  }
  if (zero_point != nullptr && !all_zero(*zero_point)) violations.push_back(node.name + ": it has a zero point");
  const TensorData* codes = node.op == "DequantizeLinear" ? constant(wiring, node.inputs[0]) : zero_point;
  if (codes != nullptr && !takes(codes->type)) violations.push_back(node.name + ": its codes are of a type that is not taken");
  if (codes != nullptr && codes->type == Type::int4 && !has_int4_blocks(node))
    violations.push_back(node.name + ": int4 is taken in blocks of 64 or 128 alone");
  const bool computed = constant(wiring, node.inputs[0]) == nullptr;
  if (computed && scale != nullptr && scale->memory.numel() != 1)
    violations.push_back(node.name + ": an activation with several scales");
}

/// What is rounded and back must go to products.
void check_readers(const Wiring& wiring, const Node& node, std::vector<std::string>& violations) {
  const auto maker = wiring.makers.find(node.inputs[0]);
  const bool rounds = node.op == "DequantizeLinear" && maker != wiring.makers.end() && maker->second->op == "QuantizeLinear";
  const auto readers = wiring.readers.find(node.outputs[0]);
  if (!rounds || readers == wiring.readers.end()) return;
  for (const Node* reader : readers->second) {
    if (reader->op != "MatMul" && reader->op != "Conv" && reader->op != "Gemm")
      violations.push_back(reader->name + ": " + reader->op + " reads what was quantized");
  }
}

}  // namespace

std::vector<std::string> tensorrt_violations(const Model& model) {
  const Wiring wiring = wiring_of(model);
  std::vector<std::string> violations;
  for (const onnx::Value& input : model.inputs) {
    if (input.type == Type::uint8) violations.push_back(input.name + ": it is uint8");
  }
  for (const Node& node : model.nodes) {
    if (!is_quantizing(node)) continue;
    check_parameters(wiring, node, violations);
    check_readers(wiring, node, violations);
  }
  for (const Initializer& initializer : model.initializers) {
    const Type type = initializer.data.type;
    if (type == Type::uint8 || type == Type::float8e8m0 || type == Type::float4e2m1)
      violations.push_back(initializer.name + ": its type is not taken here");
  }
  return violations;
}

}  // namespace eidolon
