#include "model/families/vit.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "model/families/activations.h"
#include "model/families/plan_builder.h"

namespace eidolon {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(VitFacts, channels, image_size, patch_size, width, depth, heads, hidden_width, classes,
                                   gives_embedding, epsilon, root_mean_square, class_tokens, registers, positions,
                                   embedding_norm, norm_before_blocks, activation, gated, query_key_norm, inner_norm, mlp_norm,
                                   layer_scale, rotation, rotates_halves, attention_bias, last_norm, pooled_norm, pooling,
                                   pooling_heads, pooling_hidden, output, compared_classes)

namespace {

using nlohmann::json;

/// The facts and what follows from them.
struct Shape {
  const VitFacts& facts;
  int64_t grid = facts.image_size / facts.patch_size;
  int64_t prefix = facts.class_tokens + facts.registers;
  int64_t tokens = prefix + grid * grid;

  steps::Norm norm(const std::string& name) const { return {name, facts.epsilon, !facts.root_mean_square}; }
};

void add_embedding(PlanBuilder& add, const Shape& shape) {
  const VitFacts& f = shape.facts;
  std::vector<Step> all;
  all.emplace_back(steps::Multiply{add.product({.name = "patch_embed.proj",
                                                .weight = {f.width, f.channels, f.patch_size, f.patch_size},
                                                .rows = shape.grid * shape.grid,
                                                .convolution = Convolution{.kernel = f.patch_size, .stride = f.patch_size}})});
  if (f.embedding_norm) {
    add.norm("patch_embed.norm", f.width);
    all.emplace_back(shape.norm("patch_embed.norm"));
  }
  if (f.positions == "patches") all.emplace_back(steps::Add{"pos_embed"});
  const auto prepend = [&](const std::string& name, int64_t tokens) {
    add.parameter(name, {1, tokens, f.width});
    all.emplace_back(steps::Prepend{name});
  };
  if (f.registers > 0) prepend("reg_token", f.registers);
  if (f.class_tokens > 1) prepend("dist_token", 1);
  if (f.class_tokens > 0) prepend("cls_token", 1);
  if (f.positions == "all") all.emplace_back(steps::Add{"pos_embed"});
  if (f.positions != "none") {
    add.parameter("pos_embed", {1, f.positions == "all" ? shape.tokens : shape.grid * shape.grid, f.width});
  }
  if (f.norm_before_blocks) {
    add.norm("norm_pre", f.width);
    all.emplace_back(shape.norm("norm_pre"));
  }
  add.section("patch_embed", Layout::tokens, {shape.tokens, f.width}, std::move(all));
}

/// From the norm's output to what fc2 gives.
void add_mlp(PlanBuilder& add, const Shape& shape, const std::string& name, const std::string& norm, int64_t rows,
             int64_t hidden, bool gated, std::vector<Step>& all) {
  const VitFacts& f = shape.facts;
  const auto activation = activation_of(f.activation);
  const size_t fc1 =
      add.product({.name = name + ".fc1", .weight = {gated ? 2 * hidden : hidden, f.width}, .rows = rows, .norm = norm});
  all.emplace_back(steps::Multiply{fc1});
  all.push_back(gated ? Step(steps::Gate{activation}) : Step(steps::Activate{activation}));
  const std::string inner = f.mlp_norm && rows > 1 ? name + ".norm" : "";
  if (!inner.empty()) {
    add.norm(inner, hidden);
    all.emplace_back(shape.norm(inner));
  }
  const bool one_sided = inner.empty() && !gated && activation == Activation::relu;
  all.emplace_back(steps::Multiply{add.product({.name = name + ".fc2",
                                                .weight = {f.width, hidden},
                                                .rows = rows,
                                                .norm = inner,
                                                .to_stream = rows > 1,
                                                .one_sided = one_sided})});
}

void add_block(PlanBuilder& add, const Shape& shape, int64_t index) {
  const VitFacts& f = shape.facts;
  const std::string name = "blocks." + std::to_string(index), attention = name + ".attn";
  add.norm(name + ".norm1", f.width);
  add.norm(name + ".norm2", f.width);
  const auto if_built = [&](bool built, const std::string& part) { return built ? attention + part : std::string(); };
  Attention parts{.heads = f.heads,
                  .prefix_tokens = shape.prefix,
                  .grid = shape.grid,
                  .query_norm = if_built(f.query_key_norm, ".q_norm"),
                  .key_norm = if_built(f.query_key_norm, ".k_norm"),
                  .inner_norm = if_built(f.inner_norm, ".norm"),
                  .epsilon = f.epsilon,
                  .centred = !f.root_mean_square,
                  .rotates_halves = f.rotates_halves,
                  .bias = if_built(f.attention_bias, ".bias")};
  const int64_t head = f.width / f.heads;
  if (f.rotation == "shared by all blocks") {
    parts.rotation = "rope";
    add.parameter("rope", {2, shape.grid * shape.grid, head});
  } else if (f.rotation == "of each block") {
    parts.rotation = attention + ".rope";
    add.parameter(parts.rotation, {2, f.heads, shape.grid * shape.grid, head});
  }
  if (f.attention_bias) add.parameter(parts.bias, {f.heads, shape.tokens, shape.tokens});

  std::vector<Step> all{steps::Branch{},
                        shape.norm(name + ".norm1"),
                        steps::Attend{add.attention(attention, f.width, name + ".norm1", parts)},
                        steps::Join{},
                        steps::Branch{},
                        shape.norm(name + ".norm2")};
  add_mlp(add, shape, name + ".mlp", name + ".norm2", shape.tokens, f.hidden_width, f.gated, all);
  all.emplace_back(steps::Join{});
  add.section(name, Layout::tokens, {shape.tokens, f.width}, std::move(all));
}

/// Multihead attention pooling (Lee et al., 2019, arXiv 1810.00825; Zhai et al., 2022, arXiv 2106.04560).
void add_attention_pooling(PlanBuilder& add, const Shape& shape) {
  const VitFacts& f = shape.facts;
  std::vector<Step> all;
  if (f.last_norm) all.emplace_back(shape.norm("norm"));
  steps::PoolByAttention pooling{.query = "attn_pool.query", .heads = f.pooling_heads};
  pooling.kv = add.product(
      {.name = "attn_pool.kv", .weight = {2 * f.width, f.width}, .rows = shape.tokens, .norm = f.last_norm ? "norm" : ""});
  pooling.key = add.node("attn_pool.k", Role::key, 3);
  pooling.value = add.node("attn_pool.v", Role::value, 3);
  pooling.probabilities = add.node("attn_pool.probs", Role::probabilities, 3);
  pooling.proj = add.product({.name = "attn_pool.proj", .weight = {f.width, f.width}});
  add.parameter(pooling.query, {1, f.pooling_heads, 1, f.width / f.pooling_heads});
  all.emplace_back(pooling);
  all.emplace_back(steps::Branch{});
  add.norm("attn_pool.norm", f.width);
  all.emplace_back(shape.norm("attn_pool.norm"));
  add_mlp(add, shape, "attn_pool.mlp", "attn_pool.norm", 1, f.pooling_hidden, false, all);
  all.emplace_back(steps::Join{});
  add.section("attn_pool", Layout::vector, {f.width}, std::move(all));
}

/// From the tokens behind the last block (or what attention pooling gave) to the pooled feature.
std::vector<Step> pooling_steps(const Shape& shape) {
  const VitFacts& f = shape.facts;
  std::vector<Step> all;
  const bool one_token = f.pooling == "token";
  if (one_token) all.emplace_back(steps::Pool{.tokens = {0}});  // first, since a norm of one token costs less
  if (f.last_norm && f.pooling != "attention") all.emplace_back(shape.norm("norm"));
  if (f.pooling == "mean") all.emplace_back(steps::Pool{.mean_from = shape.prefix});
  if (f.pooling == "token and mean") all.emplace_back(steps::Pool{.tokens = {0}, .mean_from = shape.prefix});
  if (f.pooling == "class tokens") all.emplace_back(steps::Pool{.tokens = {0, 1}});
  if (f.pooled_norm) all.emplace_back(shape.norm("fc_norm"));
  return all;
}

int64_t pooled_width(const VitFacts& f) {
  return f.pooling == "token and mean" || f.pooling == "class tokens" ? 2 * f.width : f.width;
}

int64_t outputs_of(const VitFacts& f) {
  return f.compared_classes > 0 ? f.compared_classes : f.classes;
}

void add_head(PlanBuilder& add, const Shape& shape) {
  const VitFacts& f = shape.facts;
  std::vector<Step> all = pooling_steps(shape);
  const bool one_norm = f.pooled_norm || (f.last_norm && f.pooling != "attention");
  const bool reaches_head = one_norm && !(f.pooled_norm && f.last_norm) && pooled_width(f) == f.width;
  const std::string norm = !reaches_head ? "" : f.pooled_norm ? "fc_norm" : "norm";
  if (f.classes > 0) {
    all.emplace_back(steps::Multiply{add.product({.name = "head", .weight = {f.classes, pooled_width(f)}, .norm = norm})});
  }
  if (f.compared_classes > 0) {
    add.parameter("class_embeddings", {f.compared_classes, f.classes > 0 ? f.classes : pooled_width(f)});
    all.emplace_back(steps::Compare{"class_embeddings"});
  }
  add.section("head", Layout::vector, {outputs_of(f)}, std::move(all));
}

/// What a network without a head gives.
std::vector<OutputPart> feature_parts(const Plan& plan, const Shape& shape) {
  const VitFacts& f = shape.facts;
  const auto last_block = static_cast<int>(f.depth);
  std::vector<OutputPart> parts;
  if (f.output != "tokens") {
    parts.push_back({.name = "pooled",
                     .section = plan.section_count() - 1,
                     .steps = pooling_steps(shape),
                     .layout = Layout::vector,
                     .shape = {pooled_width(f)}});
  }
  if (f.output != "pooled") {
    parts.push_back({.name = "tokens",
                     .section = last_block,
                     .steps = f.last_norm ? std::vector<Step>{shape.norm("norm")} : std::vector<Step>{},
                     .layout = Layout::tokens,
                     .shape = {shape.tokens, f.width}});
  }
  return parts;
}

}  // namespace

std::shared_ptr<const Plan> vit_plan(const VitFacts& f) {
  auto plan = std::make_shared<Plan>();
  plan->family = "vit";
  json facts = f;
  facts["family"] = "vit";
  plan->facts = facts.dump();
  plan->channels = f.channels;
  plan->image_size = f.image_size;

  const Shape shape{f};
  PlanBuilder add(*plan);
  add_embedding(add, shape);
  for (int64_t block = 0; block < f.depth; ++block) add_block(add, shape, block);
  if (f.last_norm) add.norm("norm", f.width);
  if (f.pooled_norm) add.norm("fc_norm", f.width);
  if (f.pooling == "attention") add_attention_pooling(add, shape);
  if (outputs_of(f) > 0) {
    add_head(add, shape);
    const bool is_feature = f.gives_embedding && f.compared_classes == 0;
    plan->output = {.kind = is_feature ? Output::Kind::features : Output::Kind::classes, .size = outputs_of(f)};
  } else {
    plan->output = {.kind = Output::Kind::features, .parts = feature_parts(*plan, shape)};
    for (const OutputPart& part : plan->output.parts) plan->output.size += part.elements();
  }
  return plan;
}

std::shared_ptr<const Plan> vit_plan_from(const std::string& facts) {
  return vit_plan(json::parse(facts).get<VitFacts>());
}

}  // namespace eidolon
