#include "model/vision_transformer.h"

#include <cmath>
#include <string>

#include "base/pulse.h"

namespace eidolon {
namespace {

Tensor seen(const Tap& tap, NodeId node, const Tensor& tensor) {
  return tap ? tap(node, tensor) : tensor;
}

/// Shows the input, then the weight: arguments of one call would be shown in an order that the compiler chooses.
Tensor linear(const VisionTransformer& model, const std::string& name, NodeId input_node, const Tensor& x, NodeId weight_node,
              const Tap& tap) {
  const Tensor input = seen(tap, input_node, x);
  const Tensor weight = seen(tap, weight_node, model[name + ".weight"]);
  return at::linear(input, weight, model[name + ".bias"]);
}

Tensor layer_norm(const VisionTransformer& model, const std::string& name, const Tensor& x) {
  return at::layer_norm(x, {model.architecture.width}, model[name + ".weight"], model[name + ".bias"],
                        model.architecture.layer_norm_epsilon);
}

Tensor attention(const VisionTransformer& model, int block, const Tensor& x, const Tap& tap) {
  const std::string name = "blocks." + std::to_string(block) + ".attn.";
  const int64_t batch = x.size(0), tokens = x.size(1), width = x.size(2), heads = model.architecture.heads;
  const auto node = [&](NodeKind kind, const Tensor& tensor) { return seen(tap, {block, kind}, tensor); };

  const Tensor qkv = linear(model, name + "qkv", {block, NodeKind::qkv_input}, x, {block, NodeKind::qkv_weight}, tap);
  const Tensor split = qkv.reshape({batch, tokens, 3, heads, width / heads}).permute({2, 0, 3, 1, 4});
  const Tensor query = node(NodeKind::query, split[0]);
  const Tensor key = node(NodeKind::key, split[1]);
  const Tensor value = node(NodeKind::value, split[2]);

  const double scale = 1.0 / std::sqrt(static_cast<double>(width / heads));
  const Tensor scores = at::matmul(query * scale, key.transpose(-2, -1));
  const at::ScalarType accumulate = at::promote_types(x.scalar_type(), at::kFloat);
  const Tensor probabilities = node(NodeKind::probabilities, at::softmax(scores, -1, accumulate).to(x.scalar_type()));
  const Tensor mixed = at::matmul(probabilities, value).transpose(1, 2).reshape({batch, tokens, width});
  return linear(model, name + "proj", {block, NodeKind::proj_input}, mixed, {block, NodeKind::proj_weight}, tap);
}

Tensor mlp(const VisionTransformer& model, int block, const Tensor& x, const Tap& tap) {
  const std::string name = "blocks." + std::to_string(block) + ".mlp.";
  const Tensor hidden =
      at::gelu(linear(model, name + "fc1", {block, NodeKind::fc1_input}, x, {block, NodeKind::fc1_weight}, tap));
  return linear(model, name + "fc2", {block, NodeKind::fc2_input}, hidden, {block, NodeKind::fc2_weight}, tap);
}

}  // namespace

VisionTransformer VisionTransformer::to(at::Device device, at::ScalarType dtype) const {
  VisionTransformer moved{architecture, {}};
  for (const auto& [name, tensor] : parameters) moved.parameters[name] = tensor.detach().to(device, dtype);
  return moved;
}

VisionTransformer VisionTransformer::clone() const {
  VisionTransformer copy{architecture, {}};
  for (const auto& [name, tensor] : parameters) copy.parameters[name] = tensor.detach().clone();
  return copy;
}

Tensor patches_of(const Architecture& a, const Tensor& images) {
  const int64_t batch = images.size(0), grid = a.grid(), patch = a.patch_size;
  return images.reshape({batch, a.channels, grid, patch, grid, patch})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({batch, a.patches(), a.channels * patch * patch});
}

Tensor embed(const VisionTransformer& model, const Tensor& images, const Tap& tap) {
  const Architecture& a = model.architecture;
  const int64_t batch = images.size(0);
  // A convolution whose stride is its kernel is one matrix product over the patches; as such it is deterministic everywhere.
  const Tensor patches = patches_of(a, seen(tap, {-1, NodeKind::image}, images));
  const Tensor weight = seen(tap, {-1, NodeKind::patch_embedding_weight}, model["patch_embed.proj.weight"]);
  const Tensor tokens = at::linear(patches, weight.reshape({a.width, -1}), model["patch_embed.proj.bias"]);
  return at::cat({model["cls_token"].expand({batch, 1, a.width}), tokens}, 1) + model["pos_embed"];
}

Tensor forward_block(const VisionTransformer& model, int block, const Tensor& tokens, const Tap& tap) {
  pulse();
  const std::string name = "blocks." + std::to_string(block) + ".";
  const Tensor attended = tokens + attention(model, block, layer_norm(model, name + "norm1", tokens), tap);
  return attended + mlp(model, block, layer_norm(model, name + "norm2", attended), tap);
}

Tensor classify(const VisionTransformer& model, const Tensor& tokens, const Tap& tap) {
  const Tensor class_token = layer_norm(model, "norm", tokens.select(1, 0));
  return linear(model, "head", {-1, NodeKind::head_input}, class_token, {-1, NodeKind::head_weight}, tap);
}

Tensor forward(const VisionTransformer& model, const Tensor& images, const Tap& tap) {
  Tensor tokens = embed(model, images, tap);
  for (int block = 0; block < model.architecture.depth; ++block) tokens = forward_block(model, block, tokens, tap);
  return classify(model, tokens, tap);
}

}  // namespace eidolon
