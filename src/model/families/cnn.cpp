#include "model/families/cnn.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/families/activations.h"
#include "model/families/plan_builder.h"

namespace eidolon {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ConvolutionFacts, name, inputs, outputs, kernel, stride, padding, padding_after, groups,
                                   activation)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(UnitFacts, name, convolutions, has_skip, skip, subsampled_by, added_channels, activation,
                                   pools)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CnnFacts, channels, image_size, units, width, head, classes, output)

namespace {

using nlohmann::json;

/// A map while the plan is written.
struct Map {
  int64_t channels = 0, side = 0;
  bool one_sided = false;             ///< no value is below 0
  std::optional<Source> source = {};  ///< which convolution made it, if nothing else reads it
};

bool is_one_sided(const std::string& activation) {
  return activation == "relu" || activation == "relu6";
}

void add_activation(const std::string& activation, std::vector<Step>& all, Map& map) {
  map.one_sided = is_one_sided(activation);
  if (activation != "none") all.emplace_back(steps::Activate{activation_of(activation)});
}

void add_convolution(PlanBuilder& add, const ConvolutionFacts& c, std::vector<Step>& all, Map& map) {
  const int64_t side = (map.side + c.padding + c.padding_after - c.kernel) / c.stride + 1;
  const Convolution shape{
      .kernel = c.kernel, .stride = c.stride, .padding = c.padding, .padding_after = c.padding_after, .groups = c.groups};
  all.emplace_back(steps::Convolve{add.product({.name = c.name,
                                                .weight = {c.outputs, c.inputs / c.groups, c.kernel, c.kernel},
                                                .rows = side * side,
                                                .one_sided = map.one_sided,
                                                .convolution = shape,
                                                .source = map.source,
                                                .has_statistics = true})});
  const Source source{.product = add.products() - 1,
                      .ceiling = c.activation == "relu6" ? std::optional<double>(relu6_ceiling) : std::nullopt};
  map = {.channels = c.outputs, .side = side};
  if (c.activation == "none" || is_one_sided(c.activation)) map.source = source;
  add_activation(c.activation, all, map);
}

void add_unit(PlanBuilder& add, const UnitFacts& unit, Map& map) {
  map.source.reset();  // sections are compared with the teacher's, so that channels keep their scale in between
  const Map entering = map;
  std::vector<Step> all;
  if (unit.has_skip) all.emplace_back(steps::Branch{});
  for (const ConvolutionFacts& convolution : unit.convolutions) add_convolution(add, convolution, all, map);
  if (unit.has_skip) {
    Map skipped = entering;
    const bool changes = !unit.skip.empty() || unit.subsampled_by > 1 || unit.added_channels > 0;
    if (changes) all.emplace_back(steps::Swap{});
    for (const ConvolutionFacts& convolution : unit.skip) add_convolution(add, convolution, all, skipped);
    if (unit.skip.empty() && changes) all.emplace_back(steps::Subsample{unit.subsampled_by, unit.added_channels});
    all.emplace_back(steps::Join{});
    map.one_sided = false;
    add_activation(unit.activation, all, map);
  }
  if (unit.pools) {
    const steps::MaxPool pool{.kernel = 3, .stride = 2, .padding = 1};
    all.emplace_back(pool);
    map.side = (map.side + 2 * pool.padding - pool.kernel) / pool.stride + 1;
  }
  add.section(unit.name, Layout::maps, {map.channels, map.side, map.side}, std::move(all));
}

/// The first convolution and the unit behind it as one, where nothing else reads what is between them.
std::vector<UnitFacts> with_stem_joined(std::vector<UnitFacts> units) {
  if (units.size() < 2 || units[0].has_skip || units[0].pools || units[1].has_skip) return units;
  auto& convolutions = units[1].convolutions;
  convolutions.insert(convolutions.begin(), units[0].convolutions.begin(), units[0].convolutions.end());
  units.erase(units.begin());
  return units;
}

std::vector<OutputPart> feature_parts(const CnnFacts& f, int section, const Map& map) {
  std::vector<OutputPart> parts;
  if (f.output != "tokens") {
    parts.push_back(
        {.name = "pooled", .section = section, .steps = {steps::MeanPlaces{}}, .layout = Layout::vector, .shape = {f.width}});
  }
  if (f.output != "pooled") {
    parts.push_back({.name = "tokens",
                     .section = section,
                     .steps = {},
                     .layout = Layout::maps,
                     .shape = {map.channels, map.side, map.side}});
  }
  return parts;
}

}  // namespace

std::shared_ptr<const Plan> cnn_plan(const CnnFacts& f) {
  auto plan = std::make_shared<Plan>();
  plan->family = "cnn";
  json facts = f;
  facts["family"] = "cnn";
  plan->facts = facts.dump();
  plan->channels = f.channels;
  plan->image_size = f.image_size;
  PlanBuilder add(*plan);
  Map map{.channels = f.channels, .side = f.image_size};
  for (const UnitFacts& unit : with_stem_joined(f.units)) add_unit(add, unit, map);
  if (f.classes > 0) {
    const size_t head = add.product({.name = f.head, .weight = {f.classes, f.width}, .one_sided = map.one_sided});
    add.section("head", Layout::vector, {f.classes}, {steps::MeanPlaces{}, steps::Multiply{head}});
    plan->output = {.kind = Output::Kind::classes, .size = f.classes};
  } else {
    plan->output = {.kind = Output::Kind::features, .parts = feature_parts(f, plan->section_count() - 1, map)};
    for (const OutputPart& part : plan->output.parts) plan->output.size += part.elements();
  }
  return plan;
}

std::shared_ptr<const Plan> cnn_plan_from(const std::string& facts) {
  return cnn_plan(json::parse(facts).get<CnnFacts>());
}

}  // namespace eidolon
