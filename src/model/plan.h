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

/// A product whose rows are windows of maps: im2col with K x K windows. The weight is outputs x C/groups x K x K.
struct Convolution {
  int64_t kernel = 1, stride = 1;
  int64_t padding = 0;        ///< rows of zeros above and columns to the left
  int64_t padding_after = 0;  ///< below and to the right; TensorFlow's SAME padding is larger there
  int64_t groups = 1;
};

/// What a product's input comes from and nothing else reads: the outputs of a convolution, behind ReLU or as they are.
struct Source {
  size_t product = 0;                  ///< index in Plan::products
  std::optional<double> ceiling = {};  ///< no value is above it (ReLU6)
};

/// y = x W^T + b for every row x of the input.
struct Product {
  NodeId input, weight;
  std::string bias;                             ///< its parameter; a family adds zeros where the file has none
  std::optional<Convolution> convolution = {};  ///< how maps become rows; without it the last axis holds the rows' inputs
  std::string norm = {};   ///< affine in front, "blocks.0.norm1", whose scale and shift per channel may change; empty: none
  bool to_stream = false;  ///< its outputs are added to the residual stream, which a LayerNorm reads
  bool one_sided = false;  ///< its input is never negative (behind ReLU)
  std::optional<Source> source = {};
  NodeId output = {};           ///< under which its outputs are shown, which are never rounded; index -1: they are not shown
  std::string statistics = {};  ///< parameter 2 x outputs: mean and deviation that BatchNorm kept of its outputs; empty: none
};

/// Attention within windows of the grid (Liu et al., 2021, arXiv 2103.14030, section 3.2). The nodes of the attention then have
/// B W images, those of one image one after the other, row by row.
struct Windows {
  int64_t side = 0;           ///< in tokens; 0: one window over all tokens
  int64_t shift = 0;          ///< by which the grid is rolled up and to the left before it is cut
  bool rolled_first = false;  ///< a grid that does not divide into windows is padded behind the roll (timm) or in front of it
  std::string mask = {};      ///< parameter W x N x N, added to the scores; empty: none
};

/// One attention: probabilities = softmax(query key^T sqrt(H/D) + bias) over all tokens, or over those of a window.
struct Attention {
  NodeId query = {}, key = {}, value = {}, probabilities = {};
  int64_t heads = 1;
  int64_t prefix_tokens = 0;  ///< tokens in front of the patches: class token, registers
  int64_t grid = 0;           ///< patches a side
  size_t qkv = 0, proj = 0;   ///< indices in Plan::products

  // What stands between the products, each empty where there is none.
  std::string query_norm = {}, key_norm = {};  ///< norms over the channels of a head, in front of the rotation
  std::string inner_norm = {};                 ///< a norm over all channels in front of proj
  double epsilon = 0;                          ///< of these norms
  bool centred = true;                         ///< LayerNorm; otherwise RMSNorm
  std::string rotation = {};    ///< parameter 2 x [H] x P x D/H: cosines and sines by which queries and keys of patches turn
  bool rotates_halves = false;  ///< channel c turns with c + D/2H; otherwise with its neighbour
  std::string bias = {};        ///< parameter H x N x N, added to the scores
  Windows windows = {};

  int64_t window_count() const;  ///< of one image
  int64_t tokens() const;        ///< N, that share a softmax
};

/// A piece of the network that can be run, calibrated and reconstructed alone.
struct Section {
  std::string name;  ///< "patch_embed", "blocks.3", "head"
  Layout output = Layout::tokens;
  std::vector<int64_t> shape;  ///< of the output for one image
  std::vector<Step> steps;     ///< from what the section before it gave

  int64_t elements() const;  ///< of the output for one image
};

/// What some steps make of a section's output: a part of what a network without classes gives.
struct OutputPart {
  std::string name;  ///< "pooled", "tokens", "stage1"
  int section = 0;
  std::vector<Step> steps;
  Layout layout = Layout::vector;
  std::vector<int64_t> shape;  ///< for one image

  int64_t elements() const;
};

struct Output {
  enum class Kind { classes, features } kind = Kind::classes;
  int64_t size = 0;                    ///< values for one image
  std::vector<OutputPart> parts = {};  ///< of features: each flattened, one after the other. Empty: the last section's output
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
  bool is_weight(NodeId node) const { return node.index >= 0 && role(node) == Role::weight; }
  int section_count() const { return static_cast<int>(sections.size()); }
  bool is_head(int section) const;  ///< the last one, if it makes one vector by one product

  std::vector<NodeId> all_nodes() const;
  std::vector<NodeId> nodes_of(int section) const;
  std::vector<Product> products_of(int section) const;

  std::optional<NodeId> find(const std::string& name) const;
  NodeId node(const std::string& name) const;                 ///< Fault naming it if there is none
  const Product* product_reading(NodeId input) const;         ///< the first product of this input; none: null
  bool is_only_reader_of_norm(const Product& product) const;  ///< no other product has the same norm in front
};

/// The rows that a product multiplies: R x n, from its input. For maps in B x places x n order, n = C K K with the channels of
/// all groups.
Tensor rows_of(const Product& product, const Tensor& input);

}  // namespace eidolon
