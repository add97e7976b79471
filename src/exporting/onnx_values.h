// Pieces of an ONNX graph: constants, weights behind DequantizeLinear, and rounded activations.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "exporting/deployment.h"
#include "exporting/onnx_model.h"

namespace eidolon::onnx {

/// An int64 constant, such as a shape; equal ones are one initializer.
std::string constant(Model& model, const std::vector<int64_t>& values);

/// A float32 initializer. The name is made distinct if it is taken.
std::string constant(Model& model, const std::string& name, const Tensor& values);

/// Adds a node with one output.
std::string op(Model& model, const std::string& prefix, const std::string& op, std::vector<std::string> inputs,
               std::vector<Attribute> attributes = {});

/// A product's weight as inputs x outputs in float32, behind DequantizeLinear. `name` is the parameter's.
std::string dequantized_weight(Model& model, const std::string& name, const DeployedWeight& weight);

/// A value of the graph that is to be rounded.
struct Rounded {
  std::string node;      ///< its name in the plan
  std::string x;         ///< its name in the graph
  int64_t channels = 0;  ///< the length of its last axis
};

/// The value rounded by a quantizer and back in float32. BadInput naming the node if ONNX has no operators for its format.
std::string rounded(Model& model, const Rounded& value, const Quantizer& quantizer);

}  // namespace eidolon::onnx
