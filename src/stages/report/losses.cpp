// Losses: of the images by term, from shards and from what rank 0 of each launch wrote; of fine-tuning by phase.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <vector>

#include "base/bounded_json.h"
#include "reporting/metrics_log.h"
#include "stages/report/parts.h"
#include "storage/tensor_archive.h"
#include "synthesis/unit.h"

namespace eidolon::parts {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr size_t most_points = 100;  ///< of a curve; longer ones are means of neighbours
constexpr size_t most_shards = 64;   ///< whose losses are read

struct Mean {
  double sum = 0;
  int64_t count = 0;
  void add(double value) { sum += value, ++count; }
  double value() const { return sum / static_cast<double>(count); }
};

/// {"term": {"iteration": [...], "loss": [...]}}, means over the units that were written down, each with the same weight.
ordered_json growth_of_losses(const RunDirectory& run) {
  std::map<std::string, std::map<int64_t, Mean>> curves;
  std::error_code none;
  for (const auto& launch : fs::directory_iterator(run.root / "log", none)) {
    for_metrics(run.synthesis_metrics(launch.path().filename().string()), [&](const ordered_json& line) {
      for (const auto& [name, value] : line.items()) {
        if (name != "step" && name != "time" && value.is_number())
          curves[name][line["step"].get<int64_t>()].add(value.get<double>());
      }
    });
  }
  ordered_json json = ordered_json::object();
  for (const auto& [term, curve] : curves) {
    for (const auto& [iteration, mean] : curve) {
      json[term]["iteration"].push_back(iteration);
      json[term]["loss"].push_back(mean.value());
    }
  }
  return json;
}

/// {"term": {"mean", "deviation", "images"}} of the stored images.
ordered_json final_losses(const RecordedRun& run) {
  std::map<std::string, std::vector<Tensor>> columns;
  size_t read = 0;
  for (const Unit& unit : units_on_disk(run, units_of(run.job().synthesis))) {
    if (!is_optimised(run.job().synthesis, unit) || read == most_shards) continue;
    const TensorArchive archive = read_archive(run.shard(unit), "losses");
    const auto names = archive.attributes.find("loss_names");
    if (names == archive.attributes.end() || !archive.tensors.contains("losses")) continue;
    ++read;
    const Tensor& losses = archive.tensors.at("losses");
    int64_t column = 0;
    for (const auto& name : bounded_json<ordered_json>(names->second))
      columns[name.get<std::string>()].push_back(losses.select(1, column++));
  }
  ordered_json json = ordered_json::object();
  for (const auto& [name, values] : columns) {
    const Tensor all = at::cat(values).to(at::kDouble);
    json[name] = {{"mean", all.mean().item<double>()}, {"images", all.size(0)}};
    if (all.size(0) > 1) json[name]["deviation"] = all.std().item<double>();
  }
  return json;
}

struct Curve {
  std::vector<int64_t> steps;
  std::vector<double> losses;
};

/// At most so many points: means of neighbours, each at the last of their steps.
Curve thinned(const Curve& curve) {
  const size_t of_point = (curve.steps.size() + most_points - 1) / most_points;
  if (of_point <= 1) return curve;
  Curve result;
  for (size_t first = 0; first < curve.steps.size(); first += of_point) {
    const size_t end = std::min(first + of_point, curve.steps.size());
    Mean mean;
    for (size_t i = first; i < end; ++i) mean.add(curve.losses[i]);
    result.steps.push_back(curve.steps[end - 1]);
    result.losses.push_back(mean.value());
  }
  return result;
}

/// Phases in their order, each with its curve and, where held-out images were asked, what they said.
ordered_json phases(const fs::path& metrics) {
  static const std::string training = "finetune/", asked = "/held_out";
  std::vector<std::string> order;
  std::map<std::string, Curve> curves;
  std::map<std::string, ordered_json> outcomes;
  for_metrics(metrics, [&](const ordered_json& line) {
    std::string phase = line["stage"].get<std::string>();
    if (!phase.starts_with(training)) return;
    phase = phase.substr(training.size());
    if (phase.ends_with(asked)) {
      phase.resize(phase.size() - asked.size());
      outcomes[phase] = {{"before", line.value("before", ordered_json())},
                         {"trained", line.value("trained", ordered_json())},
                         {"kept", line.value("kept", 0.0) == 1.0}};
    } else if (line.contains("loss") && line["loss"].is_number()) {
      if (!curves.contains(phase)) order.push_back(phase);
      curves[phase].steps.push_back(line["step"].get<int64_t>());
      curves[phase].losses.push_back(line["loss"].get<double>());
    }
  });
  ordered_json json = ordered_json::array();
  for (const std::string& phase : order) {
    const Curve curve = thinned(curves.at(phase));
    ordered_json entry{{"phase", phase}, {"steps", curve.steps}, {"loss", curve.losses}};
    if (outcomes.contains(phase)) entry["held_out"] = outcomes.at(phase);
    json.push_back(entry);
  }
  return json;
}

}  // namespace

ordered_json losses(const RecordedRun& run) {
  ordered_json json{{"measured_on", "synthetic"},
                    {"synthesis", growth_of_losses(run.run)},
                    {"images", final_losses(run)},
                    {"phases", phases(run.run.metrics())}};
  if (json["synthesis"].empty() && json["images"].empty() && json["phases"].empty())
    throw BadInput("no loss is on record: no image was optimised and nothing was trained yet");
  return json;
}

}  // namespace eidolon::parts
