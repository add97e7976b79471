// A plan: all that the rest of the program may know of a network's structure, as data.
//
// The network's family makes the plan once, from the names and shapes of the parameters and from config.json. Everybody else
// asks the plan and never the family. It lists the sections in which the network runs, the nodes where a quantizer may stand,
// the products (linear layers and convolutions) and the attention maps.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "model/step.h"
#include "model/tap.h"

namespace eidolon {

/// What a node's tensor is, in any family.
enum class Role {
  image,          ///< the network's input, B x C x S x S, normalised
  weight,         ///< a product's weight, outputs x inputs (or outputs x C x K x K)
  input,          ///< what a product multiplies its weight with
  query,          ///< B x H x N x D/H, before the scores are scaled by sqrt(H/D)
  key,            ///< B x H x N x D/H
  value,          ///< B x H x N x D/H
  probabilities,  ///< B x H x N x N, softmax over the last axis
};

/// The axes of a tensor between two sections. B images, N tokens, D channels, H x W places.
enum class Layout { image, tokens, maps, vector };  // B C H W | B N D | B C H W | B D

struct Node {
  std::string name;  ///< stable, used in files: "blocks.3.attn.probs". A weight's name is its parameter's.
  Role role = Role::input;
  int section = 0;       ///< index in Plan::sections
  int channel_axis = 0;  ///< of outputs for a weight, of channels otherwise
};

/// A product whose rows are windows of maps: im2col with K x K windows.
struct Convolution {
  int64_t kernel = 1, stride = 1, padding = 0;
};

/// y = x W^T + b for every row x of the input.
struct Product {
  NodeId input, weight;
  std::string bias;                             ///< its parameter; a family adds zeros where the file has none
  std::optional<Convolution> convolution = {};  ///< how maps become rows; without it the last axis holds the rows' inputs
  std::string norm = {};   ///< affine in front, "blocks.0.norm1", whose scale and shift per channel may change; empty: none
  bool to_stream = false;  ///< its outputs are added to the residual stream, which a LayerNorm reads
  bool one_sided = false;  ///< its input is never negative (behind ReLU)
};

/// One attention: probabilities = softmax(query key^T) over all tokens.
struct Attention {
  NodeId query, key, value, probabilities;
  int64_t heads = 1;
  int64_t prefix_tokens = 0;  ///< tokens in front of the patches: class token, registers
  int64_t grid = 0;           ///< patches a side
  size_t qkv = 0, proj = 0;   ///< indices in Plan::products
};

/// A piece of the network that can be run, calibrated and reconstructed alone.
struct Section {
  std::string name;  ///< "patch_embed", "blocks.3", "head"
  Layout output = Layout::tokens;
  std::vector<int64_t> shape;  ///< of the output for one image
  std::vector<Step> steps;     ///< from what the section before it gave

  int64_t elements() const;  ///< of the output for one image
};

struct Output {
  enum class Kind { classes, features } kind = Kind::classes;
  int64_t size = 0;
};

struct Plan {
  std::string family;
  std::string facts;  ///< canonical JSON from which plan_from() (model/families/families.h) makes the plan again
  int64_t channels = 3, image_size = 224;  ///< of the images, which are square
  Output output;
  double macs = 0;                   ///< multiply-accumulate operations of one forward pass of one image
  std::vector<Section> sections;     ///< in forward order; the first takes images, the last gives the output
  std::vector<Node> nodes;           ///< in forward order
  std::vector<Product> products;     ///< in forward order
  std::vector<Attention> attention;  ///< in forward order
  std::map<std::string, std::vector<int64_t>> parameters;  ///< the shape of every parameter

  const Node& operator[](NodeId node) const { return nodes.at(static_cast<size_t>(node.index)); }
  const std::string& name(NodeId node) const { return (*this)[node].name; }
  Role role(NodeId node) const { return (*this)[node].role; }
  bool is_weight(NodeId node) const { return role(node) == Role::weight; }
  int section_count() const { return static_cast<int>(sections.size()); }

  std::vector<NodeId> all_nodes() const;
  std::vector<NodeId> nodes_of(int section) const;
  std::vector<Product> products_of(int section) const;

  std::optional<NodeId> find(const std::string& name) const;
  NodeId node(const std::string& name) const;          ///< Fault naming it if there is none
  const Product* product_reading(NodeId input) const;  ///< the first product of this input; none: null
};

/// The rows that a product multiplies: R x n, from its input. For maps in B x places x n order, n = C K K.
Tensor rows_of(const Product& product, const Tensor& input);

}  // namespace eidolon
