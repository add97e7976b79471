// Every node: bits, bytes, and how far rounding moves what passes it; of the worst nodes the values and their grid.
#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "quantization/low_rank.h"
#include "quantization/scheme.h"
#include "stages/report/number_kind.h"
#include "stages/report/parts.h"

namespace eidolon::parts {
namespace {

using nlohmann::ordered_json;

constexpr int64_t images_looked_at = 16;
constexpr int64_t images_in_histograms = 4;
constexpr size_t worst_shown = 8;
constexpr int64_t bins = 60;
constexpr int64_t most_levels = 256;  ///< of a grid that is drawn

/// What a node's tensor was, and what rounding made of it. Energies are sums over images and elements.
struct NodeSums {
  double signal = 0, noise = 0;
  int64_t elements = 0;  ///< of one image; of a weight all
};

/// In dB; nothing where there is no noise or no signal.
std::optional<double> sqnr(const NodeSums& sums) {
  const double value = 10 * std::log10(sums.signal / sums.noise);
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

/// Rounds as the student does, and adds up what that changes.
Tap measuring_tap(const Student& student, int64_t images, std::map<NodeId, NodeSums>& sums) {
  return [tap = quantizing_tap(student), &student, images, &sums](NodeId node, const Tensor& tensor) {
    Tensor rounded = tap(node, tensor);
    if (!student.quantizers.contains(node)) return rounded;
    NodeSums& of_node = sums[node];
    of_node.signal += tensor.square().sum(at::kDouble).item<double>();
    of_node.noise += (tensor - rounded).square().sum(at::kDouble).item<double>();
    of_node.elements = tensor.numel() / (student.model.plan->is_weight(node) ? 1 : images);
    return rounded;
  };
}

/// A node's tensor before and after rounding.
struct Rounding {
  Tensor before, after;
};

/// Rounds as the student does, and keeps both tensors of some nodes, which for all would not fit into memory.
Tap keeping_tap(const Student& student, std::map<NodeId, Rounding>& kept) {
  return [tap = quantizing_tap(student), &kept](NodeId node, const Tensor& tensor) {
    Tensor rounded = tap(node, tensor);
    const auto wanted = kept.find(node);
    if (wanted != kept.end()) wanted->second = {tensor.to(at::kCPU, at::kFloat), rounded.to(at::kCPU, at::kFloat)};
    return rounded;
  };
}

double bytes_of_scale(ScaleFormat format) {
  if (format == ScaleFormat::float32) return 4;
  return format == ScaleFormat::float16 ? 2 : 1;
}

/// A weight's codes, scales and zero points; float channels as float32 and low-rank factors beside them.
double stored_bytes(const Quantizer& quantizer, int64_t elements, int64_t outputs) {
  constexpr double float_bytes = 4, bits_per_byte = 8;
  const auto scales = static_cast<double>(quantizer.scale.numel());
  double bytes = static_cast<double>(elements * quantizer.spec.bits) / bits_per_byte;
  bytes += scales * bytes_of_scale(quantizer.spec.scaling.stored);
  const bool shifted = quantizer.zero_point.ne(0).any().item<bool>();
  if (shifted) bytes += scales;
  if (quantizer.companding.defined()) bytes += scales * float_bytes;
  if (quantizer.float_channels.defined())
    bytes += static_cast<double>(quantizer.float_channels.numel() * outputs) * float_bytes;
  return bytes + branch_bits(quantizer) / bits_per_byte;
}

/// One group of values that share a grid: the one with the largest share of noise.
struct Group {
  std::string what;
  Tensor before, after;
};

Group worst_row(const std::string& what, const Tensor& before, const Tensor& after) {
  const Tensor signal = before.square().sum(-1, false, at::kDouble);
  const Tensor noise = (before - after).square().sum(-1, false, at::kDouble);
  const auto row = (noise / signal.clamp_min(1e-30)).argmax().item<int64_t>();
  return {what + " " + std::to_string(row), before[row], after[row]};
}

Group worst_group(const Quantizer& quantizer, const Rounding& rounding) {
  const Scaling& scaling = quantizer.spec.scaling;
  const auto& [before, after] = rounding;
  if (scaling.granularity == Granularity::channel) {
    const auto rows = [&](const Tensor& x) { return x.movedim(scaling.axis, 0).flatten(1); };
    return worst_row("channel", rows(before), rows(after));
  }
  if (scaling.granularity == Granularity::row) {
    const Tensor largest = row_maxima(before);
    return {"all rows, in units of each row's largest", before / largest, after / largest};
  }
  if (scaling.granularity == Granularity::block) {
    const auto rows = [&](const Tensor& x) { return to_blocks(x, scaling).flatten(0, -2); };
    return worst_row("block", rows(before), rows(after));
  }
  return {"all values", before, after};
}

/// Values that rounding gives, ascending; none if there are more than a picture can show.
ordered_json levels_in(const Tensor& rounded) {
  const Tensor levels = std::get<0>(at::_unique(rounded.flatten(), /*sorted=*/true));
  ordered_json list = ordered_json::array();
  if (levels.numel() > most_levels) return list;
  for (int64_t i = 0; i < levels.numel(); ++i) list.push_back(levels[i].item<float>());
  return list;
}

ordered_json histogram_of(const Group& group) {
  const Tensor values = group.before.flatten();
  const double low = values.min().item<double>(), high = values.max().item<double>();
  const Tensor counts = at::histc(values, bins, low, high).to(at::kLong).contiguous();
  const int64_t* const begin = counts.const_data_ptr<int64_t>();
  return {{"group", group.what},
          {"values", values.numel()},
          {"low", low},
          {"high", high},
          {"counts", std::vector<int64_t>(begin, begin + bins)},
          {"levels", levels_in(group.after)}};
}

struct Row {
  NodeId node;
  double decibels = 0;
};

/// Quantized nodes with an error, worst first.
std::vector<Row> worst_of(const std::map<NodeId, NodeSums>& sums) {
  std::vector<Row> rows;
  for (const auto& [node, of_node] : sums) {
    if (const auto decibels = sqnr(of_node)) rows.push_back({.node = node, .decibels = *decibels});
  }
  std::ranges::stable_sort(rows, {}, &Row::decibels);
  if (rows.size() > worst_shown) rows.resize(worst_shown);
  return rows;
}

ordered_json node_json(const Student& student, NodeId node, const std::map<NodeId, NodeSums>& sums) {
  const Plan& plan = *student.model.plan;
  ordered_json json{{"name", plan.name(node)}, {"section", plan.sections[static_cast<size_t>(plan[node].section)].name}};
  json["kind"] = plan.is_weight(node) ? "weight" : "activation";
  const Tensor weight = plan.is_weight(node) ? student.model[node] : Tensor();
  const auto quantizer = student.quantizers.find(node);
  const bool rounded = quantizer != student.quantizers.end();
  json["number"] = rounded ? number_kind(quantizer->second.spec) : "float32";
  json["bits"] = rounded ? quantizer->second.spec.bits : 32;
  if (rounded) json["granularity"] = name_of(quantizer->second.spec.scaling.granularity);
  const auto measured = sums.find(node);
  if (measured != sums.end()) {
    json["elements"] = measured->second.elements;
    const auto decibels = sqnr(measured->second);
    json["sqnr_db"] = decibels ? ordered_json(*decibels) : ordered_json();
  }
  if (weight.defined()) {
    constexpr double float_bytes = 4;
    json["elements"] = weight.numel();
    json["float_bytes"] = static_cast<double>(weight.numel()) * float_bytes;
    json["bytes"] =
        rounded ? stored_bytes(quantizer->second, weight.numel(), weight.size(0)) : json["float_bytes"].get<double>();
  }
  return json;
}

/// Bytes of parameters that are no node: norms, biases, tokens, tables.
double other_bytes(const Student& student) {
  double bytes = 0;
  for (const auto& [name, parameter] : student.model.parameters) {
    const auto node = student.model.plan->find(name);
    if (!node) bytes += static_cast<double>(parameter.numel() * parameter.element_size());
  }
  return bytes;
}

}  // namespace

ordered_json nodes(const MeasuredRun& run) {
  const at::NoGradGuard no_grad;
  if (run.students.empty()) throw BadInput("no student could be read; there is none yet, or the warnings say why");
  if (!run.images) throw BadInput("no synthetic image is on disk");
  const ReportedStudent& entry = run.students.back();
  const Student& student = entry.student;
  const int64_t count = std::min(images_looked_at, run.images->bytes.size(0));
  const Tensor input =
      normalise(run.context.teacher.preprocessing, run.images->bytes.narrow(0, 0, count).to(run.context.device()));
  std::map<NodeId, NodeSums> sums;
  forward(student.model, input, measuring_tap(student, count, sums));

  const Plan& plan = *student.model.plan;
  ordered_json list = ordered_json::array(), worst = ordered_json::array();
  for (const NodeId node : plan.all_nodes()) {
    if (plan.role(node) != Role::image) list.push_back(node_json(student, node, sums));
  }
  const std::vector<Row> worst_rows = worst_of(sums);
  std::map<NodeId, Rounding> kept;
  for (const Row& row : worst_rows) kept[row.node] = {};
  forward(student.model, input.narrow(0, 0, std::min(images_in_histograms, count)), keeping_tap(student, kept));
  for (const Row& row : worst_rows) {
    ordered_json json = histogram_of(worst_group(student.quantizers.at(row.node), kept.at(row.node)));
    json["name"] = plan.name(row.node);
    json["number"] = number_kind(student.quantizers.at(row.node).spec);
    json["sqnr_db"] = row.decibels;
    json["measured_on"] = plan.is_weight(row.node) ? "weights" : "synthetic";
    worst.push_back(json);
  }
  return {{"student", entry.name},
          {"measured_on", "synthetic"},
          {"images", count},
          {"what", run.images->what},
          {"nodes", list},
          {"images_in_histograms", std::min(images_in_histograms, count)},
          {"other_bytes", other_bytes(student)},
          {"worst", worst}};
}

}  // namespace eidolon::parts
