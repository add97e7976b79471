// An ONNX model as plain data, and functions that add to it. onnx_writer.h makes a file of it.
//
// Fields have the meaning of their namesakes in onnx.proto (https://onnx.ai/onnx/repo-docs/IR.html). Nodes stand in the
// order in which they can run.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "exporting/onnx_tensor.h"

namespace eidolon::onnx {

struct Attribute {
  std::string name;
  std::variant<int64_t, float, std::string, std::vector<int64_t>, std::vector<float>, TensorData> value;
};

struct Node {
  std::string op = {};
  std::string name = {};
  std::string domain = {};               ///< empty for ONNX's own operators, else a key of Model::other_opsets
  std::vector<std::string> inputs = {};  ///< an empty name leaves an optional input out
  std::vector<std::string> outputs = {};
  std::vector<Attribute> attributes = {};
};

/// An input or output of the graph.
struct Value {
  std::string name = {};
  Type type = Type::float32;
  std::vector<std::variant<int64_t, std::string>> dims = {};  ///< a fixed size, or the name of one such as "batch"
};

struct Initializer {
  std::string name = {};
  TensorData data;
};

struct Model {
  int64_t opset = 21;                                ///< of ONNX's own operators
  std::map<std::string, int64_t> other_opsets = {};  ///< by domain, such as "com.microsoft"
  int64_t ir_version = 10;                           ///< ir_version_for(opset)
  std::string producer_name = {};
  std::string producer_version = {};
  std::string doc_string = {};
  std::map<std::string, std::string> metadata = {};
  std::string graph_name = "graph";
  std::vector<Value> inputs = {};
  std::vector<Value> outputs = {};
  std::vector<Initializer> initializers = {};
  std::vector<Node> nodes = {};
  std::set<std::string> names = {};  ///< of nodes and values, which the functions below keep
};

/// The lowest version of the file format that may hold this version of ONNX's operators. Fault unless it is 21 to 24.
int64_t ir_version_for(int64_t opset);

/// The functions that add a given name throw Fault if it is taken.
void add_input(Model& model, Value input);

/// Returns the name.
std::string add_initializer(Model& model, const std::string& name, TensorData data);

/// What add_node() takes besides the place in the network.
struct NewNode {
  std::string op;
  std::vector<std::string> inputs;
  std::vector<Attribute> attributes = {};
  std::string domain = {};
};

/// Adds a node with one output and returns the output's name: "blocks.0.attn.qkv/MatMul" for the prefix
/// "blocks.0.attn.qkv", then "blocks.0.attn.qkv/MatMul_2" and so on. The node has the same name.
std::string add_node(Model& model, const std::string& prefix, NewNode node);

/// The same with several outputs, "PREFIX/Split:0" and so on.
std::vector<std::string> add_node_with_outputs(Model& model, const std::string& prefix, NewNode node, int outputs);

/// Makes the node output `value` an output of the graph. It is renamed to output.name, wherever it is read as well.
void add_output(Model& model, const std::string& value, Value output);

/// Throws Fault unless every name is given once and before it is read, every domain has its opset, and every tensor has
/// the bytes of its type and sizes.
void check_model(const Model& model);

}  // namespace eidolon::onnx
