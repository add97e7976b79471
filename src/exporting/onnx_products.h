// A plan's products as pieces of an ONNX graph.
#pragma once

#include <string>

#include "exporting/deployment.h"
#include "exporting/onnx_graph.h"
#include "exporting/onnx_model.h"
#include "model/preprocessing.h"

namespace eidolon::onnx {

/// What the functions that write a network's steps share.
struct Graph {
  const Deployment& deployment;
  const Preprocessing& preprocessing;
  GraphSettings settings;
  Model& model;
  std::string section = {};  ///< the name of the section being written

  const Plan& plan() const { return *deployment.plan; }
  const Tensor& parameter(const std::string& name) const { return deployment.parameters.at(name); }
};

/// "blocks.0.attn.qkv" of "blocks.0.attn.qkv.weight".
std::string layer_name(const std::string& weight);

int64_t outputs_of(const Graph& graph, const Product& product);

/// The integers of the product's weight; null if it stays float.
const DeployedWeight* integers_of(const Graph& graph, const Product& product);

/// `x` as the node's quantizer rounds it, if it has one. `channels` is the length of its last axis.
std::string rounded(Graph& graph, NodeId node, const std::string& x, int64_t channels);

/// A linear layer of B x N x inputs; `factors`, if defined, multiply its outputs.
std::string linear(Graph& graph, const Product& product, const std::string& input, const Tensor& factors = {});

/// A convolution from maps to tokens, B x places x outputs. With bytes as the image the normalisation is part of it.
std::string convolution_to_tokens(Graph& graph, const Product& product, const std::string& x);

/// A convolution from maps to maps.
std::string convolution_to_maps(Graph& graph, const Product& product, const std::string& input);

}  // namespace eidolon::onnx
