#include "model/families/vit.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <regex>
#include <vector>

#include "base/error.h"
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
  const size_t product = add.product(patches);
  plan.parameters["cls_token"] = {1, 1, f.width};
  plan.parameters["pos_embed"] = {1, tokens_of(f), f.width};
  plan.sections.push_back({.name = "patch_embed",
                           .output = Layout::tokens,
                           .shape = {tokens_of(f), f.width},
                           .steps = {steps::Multiply{product}, steps::Prepend{"cls_token"}, steps::Add{"pos_embed"}}});
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

  plan.sections.push_back(
      {.name = name,
       .output = Layout::tokens,
       .shape = {tokens_of(f), f.width},
       .steps = {steps::Branch{}, steps::Norm{name + ".norm1", f.layer_norm_epsilon}, steps::Attend{plan.attention.size() - 1},
                 steps::Join{}, steps::Branch{}, steps::Norm{name + ".norm2", f.layer_norm_epsilon}, steps::Multiply{fc1},
                 steps::Gelu{}, steps::Multiply{fc2}, steps::Join{}}});
}

/// Last LayerNorm and head on the class token.
void add_head(Plan& plan, const VitFacts& f) {
  Builder add(plan);
  add.norm("norm", f.width);
  const NodeId input = add.node("head.input", Role::input, 1);
  const NodeId weight = add.weight("head", {f.classes, f.width});
  const Product head{.input = input, .weight = weight, .bias = "head.bias", .norm = "norm"};
  const size_t product = add.product(head);
  plan.sections.push_back(
      {.name = "head",
       .output = Layout::vector,
       .shape = {f.classes},
       .steps = {steps::SelectToken{0}, steps::Norm{"norm", f.layer_norm_epsilon}, steps::Multiply{product}}});
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

std::shared_ptr<const Plan> vit_plan_from(const std::string& facts) {
  const json fields = json::parse(facts);
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
