#include "model/families/vit.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <regex>
#include <vector>

#include "base/error.h"
#include "model/parts/layers.h"
#include "model/shape_text.h"

namespace eidolon {
namespace {

using nlohmann::json;

int64_t grid_of(const VitFacts& facts) {
  return facts.image_size / facts.patch_size;
}

int64_t tokens_of(const VitFacts& facts) {
  return grid_of(facts) * grid_of(facts) + 1;  // the class token comes first
}

/// One block: its two norms, and where its attention and its MLP stand in the plan.
struct Block {
  std::string norm1, norm2;
  size_t attention, fc1, fc2;
  double epsilon;
};

Tensor forward_block(const Network& network, const Block& block, const Tensor& x, const Tap& tap) {
  const Plan& plan = *network.plan;
  const Tensor normed = layer_norm(network, block.norm1, x, block.epsilon);
  const Tensor attended = x + attend(network, plan.attention[block.attention], normed, tap);
  const Tensor between = layer_norm(network, block.norm2, attended, block.epsilon);
  const Tensor hidden = at::gelu(multiply(network, plan.products[block.fc1], between, tap));
  return attended + multiply(network, plan.products[block.fc2], hidden, tap);
}

/// A convolution whose stride is its kernel is one matrix product over the patches; as such it is deterministic everywhere.
Tensor embed(const Network& network, const Product& patches, const Tensor& images, const Tap& tap) {
  const Tensor tokens = multiply(network, patches, images, tap), &class_token = network["cls_token"];
  return at::cat({class_token.expand({images.size(0), 1, class_token.size(2)}), tokens}, 1) + network["pos_embed"];
}

/// Last LayerNorm and head on the class token.
Tensor classify(const Network& network, const Product& head, const Tensor& x, double epsilon, const Tap& tap) {
  return multiply(network, head, layer_norm(network, "norm", x.select(1, 0), epsilon), tap);
}

/// Grows a plan in forward order.
class Builder {
 public:
  explicit Builder(Plan& plan) : plan_(plan) {}

  NodeId node(const std::string& name, Role role, int channel_axis) {
    const auto section = static_cast<int>(plan_.sections.size());
    plan_.nodes.push_back({.name = name, .role = role, .section = section, .channel_axis = channel_axis});
    return {static_cast<int32_t>(plan_.nodes.size()) - 1};
  }

  NodeId weight(const std::string& name, const std::vector<int64_t>& shape) {
    plan_.parameters[name + ".weight"] = shape;
    plan_.parameters[name + ".bias"] = {shape[0]};
    return node(name + ".weight", Role::weight, 0);
  }

  /// Returns the product's index.
  size_t product(const Product& product) {
    plan_.products.push_back(product);
    return plan_.products.size() - 1;
  }

  void norm(const std::string& name, int64_t width) {
    plan_.parameters[name + ".weight"] = plan_.parameters[name + ".bias"] = {width};
  }

 private:
  Plan& plan_;
};

void add_embedding(Plan& plan, const VitFacts& f) {
  Builder add(plan);
  const NodeId image = add.node("image", Role::image, 1);
  const NodeId weight = add.weight("patch_embed.proj", {f.width, f.channels, f.patch_size, f.patch_size});
  const Product patches{.input = image,
                        .weight = weight,
                        .bias = "patch_embed.proj.bias",
                        .convolution = Convolution{.kernel = f.patch_size, .stride = f.patch_size}};
  add.product(patches);
  plan.parameters["cls_token"] = {1, 1, f.width};
  plan.parameters["pos_embed"] = {1, tokens_of(f), f.width};
  plan.sections.push_back({.name = "patch_embed",
                           .output = Layout::tokens,
                           .shape = {tokens_of(f), f.width},
                           .forward = [patches](const Network& network, const Tensor& images, const Tap& tap) {
                             return embed(network, patches, images, tap);
                           }});
}

void add_block(Plan& plan, const VitFacts& f, int64_t index) {
  Builder add(plan);
  const std::string name = "blocks." + std::to_string(index);
  add.norm(name + ".norm1", f.width);
  add.norm(name + ".norm2", f.width);

  const NodeId qkv_input = add.node(name + ".attn.qkv.input", Role::input, 2);
  const NodeId qkv_weight = add.weight(name + ".attn.qkv", {3 * f.width, f.width});
  Attention attention{.query = add.node(name + ".attn.q", Role::query, 3),
                      .key = add.node(name + ".attn.k", Role::key, 3),
                      .value = add.node(name + ".attn.v", Role::value, 3),
                      .probabilities = add.node(name + ".attn.probs", Role::probabilities, 3),
                      .heads = f.heads,
                      .prefix_tokens = 1,
                      .grid = grid_of(f)};
  attention.qkv =
      add.product({.input = qkv_input, .weight = qkv_weight, .bias = name + ".attn.qkv.bias", .norm = name + ".norm1"});
  const NodeId proj_input = add.node(name + ".attn.proj.input", Role::input, 2);
  const NodeId proj_weight = add.weight(name + ".attn.proj", {f.width, f.width});
  attention.proj =
      add.product({.input = proj_input, .weight = proj_weight, .bias = name + ".attn.proj.bias", .to_stream = true});
  plan.attention.push_back(attention);

  const NodeId fc1_input = add.node(name + ".mlp.fc1.input", Role::input, 2);
  const NodeId fc1_weight = add.weight(name + ".mlp.fc1", {f.hidden, f.width});
  const size_t fc1 =
      add.product({.input = fc1_input, .weight = fc1_weight, .bias = name + ".mlp.fc1.bias", .norm = name + ".norm2"});
  const NodeId fc2_input = add.node(name + ".mlp.fc2.input", Role::input, 2);
  const NodeId fc2_weight = add.weight(name + ".mlp.fc2", {f.width, f.hidden});
  const size_t fc2 = add.product({.input = fc2_input, .weight = fc2_weight, .bias = name + ".mlp.fc2.bias", .to_stream = true});

  const Block block{.norm1 = name + ".norm1",
                    .norm2 = name + ".norm2",
                    .attention = plan.attention.size() - 1,
                    .fc1 = fc1,
                    .fc2 = fc2,
                    .epsilon = f.layer_norm_epsilon};
  plan.sections.push_back({.name = name,
                           .output = Layout::tokens,
                           .shape = {tokens_of(f), f.width},
                           .forward = [block](const Network& network, const Tensor& x, const Tap& tap) {
                             return forward_block(network, block, x, tap);
                           }});
}

void add_head(Plan& plan, const VitFacts& f) {
  Builder add(plan);
  add.norm("norm", f.width);
  const NodeId input = add.node("head.input", Role::input, 1);
  const NodeId weight = add.weight("head", {f.classes, f.width});
  const Product head{.input = input, .weight = weight, .bias = "head.bias", .norm = "norm"};
  add.product(head);
  plan.sections.push_back(
      {.name = "head",
       .output = Layout::vector,
       .shape = {f.classes},
       .forward = [head, epsilon = f.layer_norm_epsilon](const Network& network, const Tensor& x, const Tap& tap) {
         return classify(network, head, x, epsilon, tap);
       }});
}

double macs_of(const VitFacts& f) {
  const auto tokens = static_cast<double>(tokens_of(f)), width = static_cast<double>(f.width);
  const double per_block = tokens * width * (4.0 * width + 2.0 * static_cast<double>(f.hidden)) + 2.0 * tokens * tokens * width;
  const double embedding = (tokens - 1) * static_cast<double>(f.channels * f.patch_size * f.patch_size) * width;
  return embedding + static_cast<double>(f.depth) * per_block + width * static_cast<double>(f.classes);
}

const Tensor& required(const TensorMap& tensors, const std::string& name, int64_t dimensions, const std::string& file) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) {
    throw BadInput(file + ": parameter '" + name + "' is missing; this is not a ViT or DeiT with timm or Hugging Face names");
  }
  if (found->second.dim() != dimensions) {
    throw BadInput(file + ": parameter '" + name + "' has shape " + shape_text(found->second.sizes()) + ", expected " +
                   std::to_string(dimensions) + " dimensions");
  }
  if (found->second.numel() == 0) throw BadInput(file + ": parameter '" + name + "' is empty; the weights are damaged");
  return found->second;
}

int64_t count_blocks(const TensorMap& tensors) {
  static const std::regex block("^blocks\\.(\\d{1,4})\\..*");
  int64_t depth = 0;
  std::smatch match;
  for (const auto& [name, tensor] : tensors) {
    if (std::regex_match(name, match, block)) depth = std::max<int64_t>(depth, std::stoll(match.str(1)) + 1);
  }
  return depth;
}

int64_t heads_of(const ModelConfig& config, int64_t width, const std::string& file) {
  if (config.heads) return *config.heads;
  if (config.heads_of_name && config.heads_of_name->width == width) return config.heads_of_name->heads;
  const std::string reason =
      config.heads_of_name ? "timm's '" + config.architecture + "' has width " + std::to_string(config.heads_of_name->width) +
                                 ", the weights have " + std::to_string(width)
                           : "'" + config.architecture + "' is not timm's name of a plain vision transformer";
  throw BadInput(file + ": no field states the number of heads, and " + reason +
                 "; add \"model_args\": {\"num_heads\": ...} to config.json");
}

}  // namespace

std::shared_ptr<const Plan> vit_plan(const VitFacts& f) {
  auto plan = std::make_shared<Plan>();
  plan->family = "vit";
  plan->facts = json{{"family", "vit"},
                     {"channels", f.channels},
                     {"image_size", f.image_size},
                     {"patch_size", f.patch_size},
                     {"width", f.width},
                     {"depth", f.depth},
                     {"heads", f.heads},
                     {"hidden_width", f.hidden},
                     {"classes", f.classes},
                     {"epsilon", f.layer_norm_epsilon}}
                    .dump();
  plan->channels = f.channels;
  plan->image_size = f.image_size;
  plan->output = {.kind = Output::Kind::classes, .size = f.classes};
  plan->macs = macs_of(f);
  add_embedding(*plan, f);
  for (int64_t block = 0; block < f.depth; ++block) add_block(*plan, f, block);
  add_head(*plan, f);
  return plan;
}

std::shared_ptr<const Plan> vit_plan_from(const std::string& text) {
  const json fields = json::parse(text);
  return vit_plan({.channels = fields.at("channels"),
                   .image_size = fields.at("image_size"),
                   .patch_size = fields.at("patch_size"),
                   .width = fields.at("width"),
                   .depth = fields.at("depth"),
                   .heads = fields.at("heads"),
                   .hidden = fields.at("hidden_width"),
                   .classes = fields.at("classes"),
                   .layer_norm_epsilon = fields.at("epsilon")});
}

bool looks_like_vit(const TensorMap& tensors) {
  return tensors.contains("cls_token") || tensors.contains("pos_embed") || tensors.contains("patch_embed.proj.weight") ||
         count_blocks(tensors) > 0;
}

VitFacts vit_facts(const TensorMap& tensors, const ModelConfig& config, const std::string& file) {
  const Tensor& patch = required(tensors, "patch_embed.proj.weight", 4, file);
  const Tensor& positions = required(tensors, "pos_embed", 3, file);
  const Tensor& head = required(tensors, "head.weight", 2, file);
  const Tensor& hidden = required(tensors, "blocks.0.mlp.fc1.weight", 2, file);

  VitFacts facts;
  facts.width = patch.size(0);
  facts.channels = patch.size(1);
  facts.patch_size = patch.size(2);
  facts.classes = head.size(0);
  facts.hidden = hidden.size(0);
  facts.depth = count_blocks(tensors);
  if (facts.classes < 2) {
    throw BadInput(file +
                   ": head.weight has one row, so there is nothing to classify; regression and yes-or-no models with one " +
                   "output are not built");
  }
  facts.layer_norm_epsilon = config.layer_norm_epsilon;
  const auto grid = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(positions.size(1) - 1))));
  if (grid < 1 || grid * grid + 1 != positions.size(1)) {
    throw BadInput(file + ": pos_embed has " + std::to_string(positions.size(1)) +
                   " tokens, which is not a class token and a square grid of patches");
  }
  facts.image_size = grid * facts.patch_size;
  facts.heads = heads_of(config, facts.width, file);
  if (facts.width % facts.heads != 0) {
    throw BadInput(file + ": width " + std::to_string(facts.width) + " does not divide into " + std::to_string(facts.heads) +
                   " heads; state model_args.num_heads in config.json");
  }
  return facts;
}

}  // namespace eidolon
