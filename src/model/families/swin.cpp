#include "model/families/swin.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "model/families/activations.h"
#include "model/families/plan_builder.h"
#include "model/families/position_tables.h"
#include "model/families/required.h"
#include "model/loading/joining.h"
#include "model/shape_text.h"

namespace eidolon {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(SwinFacts, channels, image_size, patch_size, embedding_width, depths, heads, windows, width,
                                   hidden_width, classes, epsilon, activation, rolled_first, covering, stage_norms, last_norm,
                                   output)

namespace {

using nlohmann::json;

std::string stage_name(size_t stage) {
  return "layers." + std::to_string(stage);
}

std::string block_name(size_t stage, int64_t block) {
  return stage_name(stage) + ".blocks." + std::to_string(block);
}

int64_t width_of(const SwinFacts& f, size_t stage) {
  return f.embedding_width << stage;
}

int64_t grid_of(const SwinFacts& f, size_t stage) {
  int64_t grid = f.image_size / f.patch_size;
  for (size_t s = 0; s < stage; ++s) grid = (grid + 1) / 2;
  return grid;
}

/// Of a block: every second one is shifted by half a window, unless one window covers the grid.
Windows windows_of(const SwinFacts& f, size_t stage, int64_t block) {
  const int64_t grid = grid_of(f, stage), side = f.windows[stage];
  const bool covers = side >= grid, shifts = block % 2 == 1 && (!covers || f.covering == "pads and shifts");
  Windows windows{.side = side, .shift = shifts ? side / 2 : 0, .rolled_first = f.rolled_first};
  if (windows.shift > 0) windows.mask = stage_name(stage) + ".mask";
  return windows;
}

int64_t padded_grid(const SwinFacts& f, size_t stage) {
  const int64_t grid = grid_of(f, stage), side = f.windows[stage];
  return (grid + side - 1) / side * side;
}

void add_block(PlanBuilder& add, const SwinFacts& f, size_t stage, int64_t block) {
  const std::string name = block_name(stage, block);
  const int64_t width = width_of(f, stage), grid = grid_of(f, stage), tokens = grid * grid, side = f.windows[stage];
  const int64_t hidden = width * f.hidden_width / f.width;
  add.norm(name + ".norm1", width);
  add.norm(name + ".norm2", width);
  const Windows windows = windows_of(f, stage, block);
  const std::string bias = name + ".attn.bias";
  add.parameter(bias, {f.heads[stage], side * side, side * side});
  if (!windows.mask.empty()) {
    const int64_t across = padded_grid(f, stage) / side;
    add.parameter(windows.mask, {across * across, side * side, side * side});
  }
  std::vector<Step> all{steps::Branch{}, steps::Norm{name + ".norm1", f.epsilon}};
  all.emplace_back(steps::Attend{add.attention(name + ".attn", width, name + ".norm1",
                                               {.heads = f.heads[stage], .grid = grid, .bias = bias, .windows = windows})});
  all.emplace_back(steps::Join{});
  all.emplace_back(steps::Branch{});
  all.emplace_back(steps::Norm{name + ".norm2", f.epsilon});
  all.emplace_back(steps::Multiply{
      add.product({.name = name + ".mlp.fc1", .weight = {hidden, width}, .rows = tokens, .norm = name + ".norm2"})});
  all.emplace_back(steps::Activate{activation_of(f.activation)});
  all.emplace_back(
      steps::Multiply{add.product({.name = name + ".mlp.fc2", .weight = {width, hidden}, .rows = tokens, .to_stream = true})});
  all.emplace_back(steps::Join{});
  add.section(name, Layout::tokens, {tokens, width}, std::move(all));
}

void add_merging(PlanBuilder& add, const SwinFacts& f, size_t stage) {
  const std::string name = stage_name(stage) + ".downsample";
  const int64_t before = width_of(f, stage - 1), grid = grid_of(f, stage);
  add.norm(name + ".norm", 4 * before);
  std::vector<Step> all{steps::Merge{grid_of(f, stage - 1)}, steps::Norm{name + ".norm", f.epsilon}};
  all.emplace_back(steps::Multiply{add.product({.name = name + ".reduction",
                                                .weight = {2 * before, 4 * before},
                                                .rows = grid * grid,
                                                .norm = name + ".norm",
                                                .to_stream = true})});
  add.section(name, Layout::tokens, {grid * grid, 2 * before}, std::move(all));
}

std::vector<Step> last_norm(const SwinFacts& f) {
  return f.last_norm ? std::vector<Step>{steps::Norm{"norm", f.epsilon}} : std::vector<Step>{};
}

OutputPart stage_map(const SwinFacts& f, size_t stage, int section) {
  const int64_t grid = grid_of(f, stage), width = width_of(f, stage);
  std::vector<Step> all;
  const bool has_norm = std::ranges::find(f.stage_norms, static_cast<int64_t>(stage)) != f.stage_norms.end();
  if (has_norm) all.emplace_back(steps::Norm{"norm" + std::to_string(stage), f.epsilon});
  all.emplace_back(steps::ToMaps{});
  return {.name = "stage" + std::to_string(stage + 1),
          .section = section,
          .steps = all,
          .layout = Layout::maps,
          .shape = {width, grid, grid}};
}

std::vector<OutputPart> last_features(const SwinFacts& f, int section) {
  const int64_t grid = grid_of(f, f.depths.size() - 1);
  std::vector<OutputPart> parts;
  std::vector<Step> pooling = last_norm(f);
  pooling.emplace_back(steps::Pool{.mean_from = 0});
  if (f.output != "tokens") {
    parts.push_back({.name = "pooled", .section = section, .steps = pooling, .layout = Layout::vector, .shape = {f.width}});
  }
  if (f.output != "pooled") {
    parts.push_back({.name = "tokens",
                     .section = section,
                     .steps = last_norm(f),
                     .layout = Layout::tokens,
                     .shape = {grid * grid, f.width}});
  }
  return parts;
}

}  // namespace

std::shared_ptr<const Plan> swin_plan(const SwinFacts& f) {
  auto plan = std::make_shared<Plan>();
  plan->family = "swin";
  json facts = f;
  facts["family"] = "swin";
  plan->facts = facts.dump();
  plan->channels = f.channels;
  plan->image_size = f.image_size;

  PlanBuilder add(*plan);
  const int64_t grid = grid_of(f, 0);
  const size_t patches = add.product({.name = "patch_embed.proj",
                                      .weight = {f.embedding_width, f.channels, f.patch_size, f.patch_size},
                                      .rows = grid * grid,
                                      .convolution = Convolution{.kernel = f.patch_size, .stride = f.patch_size}});
  add.norm("patch_embed.norm", f.embedding_width);
  add.section("patch_embed", Layout::tokens, {grid * grid, f.embedding_width},
              {steps::Multiply{patches}, steps::Norm{"patch_embed.norm", f.epsilon}});
  std::vector<OutputPart> maps;
  for (size_t stage = 0; stage < f.depths.size(); ++stage) {
    if (stage > 0) add_merging(add, f, stage);
    for (int64_t block = 0; block < f.depths[stage]; ++block) add_block(add, f, stage, block);
    maps.push_back(stage_map(f, stage, plan->section_count() - 1));
  }
  for (const int64_t stage : f.stage_norms) add.norm("norm" + std::to_string(stage), width_of(f, static_cast<size_t>(stage)));
  if (f.last_norm) add.norm("norm", f.width);
  if (f.classes > 0 && f.output != "stages") {
    std::vector<Step> head = last_norm(f);
    head.emplace_back(steps::Pool{.mean_from = 0});
    head.emplace_back(
        steps::Multiply{add.product({.name = "head.fc", .weight = {f.classes, f.width}, .norm = f.last_norm ? "norm" : ""})});
    add.section("head", Layout::vector, {f.classes}, std::move(head));
    plan->output = {.kind = Output::Kind::classes, .size = f.classes};
    return plan;
  }
  plan->output.kind = Output::Kind::features;
  plan->output.parts = f.output == "stages" ? maps : last_features(f, plan->section_count() - 1);
  for (const OutputPart& part : plan->output.parts) plan->output.size += part.elements();
  return plan;
}

std::shared_ptr<const Plan> swin_plan_from(const std::string& facts) {
  return swin_plan(json::parse(facts).get<SwinFacts>());
}

bool looks_like_swin(const TensorMap& tensors) {
  static const std::regex block("^layers\\.\\d+\\.blocks\\.\\d+\\.attn\\..*");
  return std::ranges::any_of(tensors, [](const auto& entry) { return std::regex_match(entry.first, block); });
}

namespace {

/// How many numbers n there are from 0 on with a name that starts with `prefix` + n + ".".
int64_t count_numbered(const TensorMap& tensors, const std::string& prefix) {
  int64_t count = 0;
  for (;; ++count) {
    const std::string start = prefix + std::to_string(count) + ".";
    const auto first = tensors.lower_bound(start);
    if (first == tensors.end() || !first->first.starts_with(start)) return count;
  }
}

/// Regions of the rolled and padded grid that do not see each other: -100 between them, as all implementations have it.
Tensor shift_mask(int64_t padded, int64_t side, int64_t shift) {
  const Tensor place = at::arange(padded, at::kLong);
  const Tensor region = at::ge(place, padded - side).to(at::kLong) + at::ge(place, padded - shift).to(at::kLong);
  const int64_t across = padded / side;
  const Tensor map = (3 * region.unsqueeze(1) + region.unsqueeze(0)).reshape({across, side, across, side});
  const Tensor windows = map.permute({0, 2, 1, 3}).reshape({across * across, side * side});
  return at::ne(windows.unsqueeze(2), windows.unsqueeze(1)).to(at::kFloat) * -100.0;
}

SwinFacts facts_of(const TensorMap& tensors, const ModelConfig& config, const std::string& file) {
  const Tensor& patch = required(tensors, "patch_embed.proj.weight", 4, file);
  SwinFacts f;
  f.embedding_width = patch.size(0);
  f.channels = patch.size(1);
  f.patch_size = patch.size(2);
  f.depths.clear(), f.heads.clear(), f.windows.clear();
  const int64_t stages = count_numbered(tensors, "layers.");
  if (stages > 8) throw BadInput(file + ": " + std::to_string(stages) + " stages are more than a Swin transformer has");
  for (int64_t stage = 0; stage < stages; ++stage) {
    const auto s = static_cast<size_t>(stage);
    f.depths.push_back(count_numbered(tensors, stage_name(s) + ".blocks."));
    const Tensor& table = required(tensors, block_name(s, 0) + ".attn.relative_position_bias_table", 2, file);
    const auto side = static_cast<int64_t>(std::llround((std::sqrt(static_cast<double>(table.size(0))) + 1) / 2));
    if ((2 * side - 1) * (2 * side - 1) != table.size(0)) {
      throw BadInput(file + ": '" + block_name(s, 0) + ".attn.relative_position_bias_table' has " +
                     std::to_string(table.size(0)) + " rows, which is not (2 w - 1)^2 for a window of side w");
    }
    f.windows.push_back(side);
    f.heads.push_back(table.size(1));
  }
  const size_t last = f.depths.size() - 1;
  f.width = width_of(f, last);
  f.hidden_width = required(tensors, block_name(last, 0) + ".mlp.fc1.weight", 2, file).size(0);
  for (size_t stage = 0; stage <= last; ++stage) {
    if (width_of(f, stage) % f.heads[stage] != 0)
      throw BadInput(file + ": width and heads of stage " + std::to_string(stage) + " do not belong together");
    if (tensors.contains("norm" + std::to_string(stage) + ".weight")) f.stage_norms.push_back(static_cast<int64_t>(stage));
  }
  const auto image_size = config.image_size > 0 ? std::optional(config.image_size) : stated(config, "image size");
  if (!image_size) throw BadInput(file + ": no field states the image size, which a Swin's weights do not tell");
  f.image_size = *image_size;
  const std::optional<TimmName> name = config.named && config.named->width == f.embedding_width ? config.named : std::nullopt;
  f.epsilon = config.epsilon.value_or(name ? name->epsilon : 1e-5);
  f.activation = config.activation.value_or("gelu");
  f.last_norm = tensors.contains("norm.weight");
  f.rolled_first = config.swin.rolled_first;
  f.covering = config.swin.covering;
  return f;
}

void refuse_bad_grids(const SwinFacts& f, const std::string& file) {
  if (f.image_size % f.patch_size != 0) {
    throw BadInput(file + ": images of side " + std::to_string(f.image_size) + " do not divide into patches of side " +
                   std::to_string(f.patch_size));
  }
  for (size_t stage = 0; stage < f.depths.size(); ++stage) {
    if (f.covering != "shrinks" || f.windows[stage] <= grid_of(f, stage)) continue;
    throw BadInput(file + ": stage " + std::to_string(stage) + " has windows of side " + std::to_string(f.windows[stage]) +
                   " on a grid of side " + std::to_string(grid_of(f, stage)) + ", where its library would shrink them; state " +
                   "an image size at which they fit");
  }
}

void add_head_facts(const TensorMap& tensors, const ModelConfig& config, const std::string& file, SwinFacts& f) {
  const bool is_backbone = !f.stage_norms.empty() || config.swin.is_backbone;
  const bool headless =
      !tensors.contains("head.fc.weight") && (config.headless || is_backbone || stated(config, "classes").value_or(1) == 0);
  f.classes = headless ? 0 : required(tensors, "head.fc.weight", 2, file).size(0);
  if (f.classes == 1) throw BadInput(file + ": head.fc.weight has one row, so there is nothing to classify");
  f.output = config.output.empty() ? (is_backbone ? "stages" : "pooled") : config.output;
  if (config.pooling && *config.pooling == "none" && config.output.empty()) f.output = "tokens";
}

}  // namespace

Network read_swin(TensorMap tensors, const ModelConfig& config, const std::string& file) {
  refuse_encoder_settings(config, "Swin transformer", file);
  SwinFacts f = facts_of(tensors, config, file);
  add_head_facts(tensors, config, file, f);
  refuse_bad_grids(f, file);
  for (size_t stage = 0; stage < f.depths.size(); ++stage) {
    for (int64_t block = 0; block < f.depths[stage]; ++block) {
      const std::string name = block_name(stage, block), attention = name + ".attn";
      join_layers(tensors, {attention + ".q_proj", attention + ".k_proj", attention + ".v_proj"}, attention + ".qkv");
      const std::string table_name = attention + ".relative_position_bias_table";
      const Tensor table = required(tensors, table_name, 2, file);
      const int64_t side = f.windows[stage];
      if (table.sizes() != at::IntArrayRef{(2 * side - 1) * (2 * side - 1), f.heads[stage]}) {
        throw BadInput(file + ": '" + table_name + "' has shape " + shape_text(table.sizes()) + ", unlike that of block 0");
      }
      tensors[attention + ".bias"] = relative_bias(table, side, /*class_token=*/false);
      tensors.erase(table_name);
      const Windows windows = windows_of(f, stage, block);
      if (!windows.mask.empty()) tensors[windows.mask] = shift_mask(padded_grid(f, stage), side, windows.shift);
    }
    if (stage > 0) add_zero_bias(tensors, stage_name(stage) + ".downsample.reduction");
  }
  if (!config.output.empty() || f.output == "stages") {  // features, whatever the head says of them
    for (const char* name : {"head.fc.weight", "head.fc.bias"}) tensors.erase(name);
    f.classes = 0;
  }
  if (f.output == "stages") {  // this norm stands behind the maps
    for (const char* name : {"norm.weight", "norm.bias"}) tensors.erase(name);
    f.last_norm = false;
  }
  return {swin_plan(f), std::move(tensors)};
}

}  // namespace eidolon
