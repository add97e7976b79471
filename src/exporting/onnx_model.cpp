#include "exporting/onnx_model.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace eidolon::onnx {
namespace {

void take_name(std::set<std::string>& names, const std::string& name) {
  if (name.empty()) throw Fault("a value of the ONNX model has no name");
  if (!names.insert(name).second) throw Fault("the name '" + name + "' is given twice in the ONNX model");
}

std::string fresh_name(std::set<std::string>& names, const std::string& wanted) {
  std::string name = wanted;
  for (int count = 2; !names.insert(name).second; ++count) name = wanted + "_" + std::to_string(count);
  return name;
}

void check_bytes(const std::string& owner, const TensorData& data) {
  const bool sound = data.memory.defined() && data.memory.is_cpu() && data.memory.is_contiguous() &&
                     std::ranges::none_of(data.dims, [](int64_t size) { return size < 0; }) &&
                     data.memory.nbytes() == byte_count(data.type, data.dims);
  if (!sound) throw Fault("the tensor of '" + owner + "' does not have the bytes of its type and sizes");
}

void check_node(const Model& model, const Node& node, const std::set<std::string>& known) {
  if (!node.domain.empty() && !model.other_opsets.contains(node.domain)) {
    throw Fault("the node '" + node.name + "' is of domain '" + node.domain + "', whose opset the ONNX model does not state");
  }
  for (const std::string& input : node.inputs) {
    if (!input.empty() && !known.contains(input)) {
      throw Fault("the node '" + node.name + "' reads '" + input + "', which nothing before it gives");
    }
  }
  for (const Attribute& attribute : node.attributes) {
    if (const auto* data = std::get_if<TensorData>(&attribute.value)) check_bytes(node.name, *data);
  }
}

}  // namespace

int64_t ir_version_for(int64_t opset) {
  switch (opset) {
    case 21:
    case 22:
      return 10;
    case 23:
      return 11;
    case 24:
      return 12;
    default:
      throw Fault("the ONNX writer knows the opsets 21 to 24, not " + std::to_string(opset));
  }
}

void add_input(Model& model, Value input) {
  take_name(model.names, input.name);
  model.inputs.push_back(std::move(input));
}

std::string add_initializer(Model& model, const std::string& name, TensorData data) {
  check_bytes(name, data);
  take_name(model.names, name);
  model.initializers.push_back({.name = name, .data = std::move(data)});
  return name;
}

std::vector<std::string> add_node_with_outputs(Model& model, const std::string& prefix, NewNode node, int outputs) {
  const std::string name = fresh_name(model.names, prefix + "/" + node.op);
  std::vector<std::string> values{name};
  if (outputs != 1) values.clear();
  for (int i = 0; outputs != 1 && i < outputs; ++i) values.push_back(fresh_name(model.names, name + ":" + std::to_string(i)));
  model.nodes.push_back({.op = std::move(node.op),
                         .name = name,
                         .domain = std::move(node.domain),
                         .inputs = std::move(node.inputs),
                         .outputs = values,
                         .attributes = std::move(node.attributes)});
  return values;
}

std::string add_node(Model& model, const std::string& prefix, NewNode node) {
  return add_node_with_outputs(model, prefix, std::move(node), 1).front();
}

void add_output(Model& model, const std::string& value, Value output) {
  take_name(model.names, output.name);
  int64_t writers = 0;
  for (Node& node : model.nodes) {
    std::ranges::replace(node.inputs, value, output.name);
    writers += std::ranges::count(node.outputs, value);
    std::ranges::replace(node.outputs, value, output.name);
  }
  if (writers != 1)
    throw Fault("'" + value + "' cannot become an output of the ONNX model: no node, or more than one, gives it");
  model.outputs.push_back(std::move(output));
}

void check_model(const Model& model) {
  std::set<std::string> known;
  for (const Value& input : model.inputs) take_name(known, input.name);
  for (const Initializer& initializer : model.initializers) {
    take_name(known, initializer.name);
    check_bytes(initializer.name, initializer.data);
  }
  for (const Node& node : model.nodes) {
    check_node(model, node, known);
    for (const std::string& output : node.outputs) take_name(known, output);
  }
  for (const Value& output : model.outputs) {
    if (!known.contains(output.name)) throw Fault("nothing gives the output '" + output.name + "' of the ONNX model");
  }
}

}  // namespace eidolon::onnx
