#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "cluster/on_root.h"
#include "evaluation/metrics.h"
#include "model/readout.h"
#include "reporting/progress.h"
#include "reporting/result.h"
#include "stages/finetuning_owner.h"
#include "stages/held_out_figures.h"
#include "stages/shard_set.h"
#include "stages/stages.h"
#include "stages/student_source.h"
#include "storage/atomic_file.h"

namespace eidolon {
namespace {

using nlohmann::ordered_json;

constexpr int64_t most_images = 32;

/// One line of the table. KL(teacher || student) in nats, means over images.
struct NodeCost {
  NodeId node;
  std::string name;
  int64_t bits = 0;
  double alone = 0;   ///< with this node quantized and nothing else
  double spared = 0;  ///< with everything but this node quantized
};

/// Held-out images or, without any, the first ones.
Tensor probe_images(const RunContext& context, const ShardFiles& shards) {
  std::vector<int64_t> wanted = held_out_images(context.job.synthesis);
  if (wanted.empty()) {
    wanted.resize(static_cast<size_t>(std::min(context.job.synthesis.images, most_images)));
    std::iota(wanted.begin(), wanted.end(), 0);
  }
  if (wanted.size() > most_images) wanted.resize(most_images);
  return normalise(context.teacher.preprocessing, read_images(shards, wanted).bytes).to(context.device());
}

Tap only(const Student& student, NodeId node) {
  return
      [tap = quantizing_tap(student), node](NodeId at, const Tensor& tensor) { return at == node ? tap(at, tensor) : tensor; };
}

Tap all_but(const Student& student, NodeId node) {
  return
      [tap = quantizing_tap(student), node](NodeId at, const Tensor& tensor) { return at == node ? tensor : tap(at, tensor); };
}

double mean_divergence(const Tensor& teacher, const Student& student, const Tensor& images, const Tap& tap) {
  const Tensor output = forward(student.model, images, tap);
  return std::max(divergence(student.model.plan->output, teacher, output).mean().item<double>(), 0.0);  // NaN stays
}

/// Each rank measures every size-th node.
std::vector<NodeCost> measure(const RunContext& context, const Student& student, const Tensor& images) {
  const at::NoGradGuard no_grad;
  const Cluster& cluster = context.cluster;
  const Tensor teacher = forward(context.teacher_on_device(), images);
  std::vector<NodeCost> costs;
  for (const auto& [node, quantizer] : student.quantizers)
    costs.push_back({.node = node, .name = student.model.plan->name(node), .bits = quantizer.spec.bits});
  Tensor values = at::zeros({static_cast<int64_t>(costs.size()), 2}, at::kDouble);
  Progress progress("sensitivity", static_cast<double>(costs.size()) / cluster.size(), "nodes", cluster.is_root());
  for (size_t i = static_cast<size_t>(cluster.rank()); i < costs.size(); i += static_cast<size_t>(cluster.size())) {
    const auto row = static_cast<int64_t>(i);
    values[row][0] = mean_divergence(teacher, student, images, only(student, costs[i].node));
    values[row][1] = mean_divergence(teacher, student, images, all_but(student, costs[i].node));
    progress.advance(1);
    context.report("sensitivity", costs[i].name, progress);
  }
  cluster.communicator.all_reduce_sum(values);
  for (size_t i = 0; i < costs.size(); ++i) {
    costs[i].alone = values[static_cast<int64_t>(i)][0].item<double>();
    costs[i].spared = values[static_cast<int64_t>(i)][1].item<double>();
  }
  return costs;
}

/// null where the student's logits are not finite.
ordered_json json_of(double divergence) {
  return std::isfinite(divergence) ? ordered_json(divergence) : nullptr;
}

bool all_finite(const std::vector<NodeCost>& costs, double all) {
  return std::isfinite(all) && std::ranges::all_of(costs, [](const NodeCost& cost) {
           return std::isfinite(cost.alone) && std::isfinite(cost.spared);
         });
}

/// "held out: 16 optimised, 16 as they start (...)": of which kinds the probed images are.
std::string probed_kinds(const SynthesisJob& job) {
  const std::vector<Unit> held_out = held_out_units(job);
  return held_out.empty() ? "trained on: " + kinds_of(job, training_units(job)) : "held out: " + kinds_of(job, held_out);
}

ordered_json json_of(const std::vector<NodeCost>& costs, double all, const std::string& kinds) {
  ordered_json nodes = ordered_json::array();
  for (const NodeCost& cost : costs) {
    nodes.push_back(
        {{"name", cost.name}, {"bits", cost.bits}, {"kl_alone", json_of(cost.alone)}, {"kl_spared", json_of(cost.spared)}});
  }
  ordered_json object{{"images", kinds}, {"kl_all", json_of(all)}, {"nodes", nodes}};
  if (!all_finite(costs, all)) object["undefined"] = "null where the student's logits are NaN or infinite";
  return object;
}

std::string text_of(const char* format, double divergence) {
  char text[32];
  std::snprintf(text, sizeof text, format, divergence);
  return std::isfinite(divergence) ? text : "not finite";
}

std::string table_of(std::vector<NodeCost> costs, double all, const std::string& kinds) {
  const auto cost_of = [](const NodeCost& cost) { return std::isfinite(cost.alone) ? cost.alone : HUGE_VAL; };
  std::ranges::stable_sort(costs, std::ranges::greater(), cost_of);
  char line[160];
  std::snprintf(line, sizeof line, "KL of the calibrated student %s nats\n%-30s %4s %12s %12s\n", text_of("%.4f", all).c_str(),
                "node", "bits", "KL alone", "KL spared");
  std::string text = "At most " + std::to_string(most_images) + " images of those " + kinds + "\n" + line;
  for (const NodeCost& cost : costs) {
    std::snprintf(line, sizeof line, "%-30s %4ld %12s %12s\n", cost.name.c_str(), static_cast<long>(cost.bits),
                  text_of("%.5f", cost.alone).c_str(), text_of("%.5f", cost.spared).c_str());
    text += line;
  }
  return text;
}

/// The run's own or, where there is none yet, calibrated for it; the run is owned for as long as that takes.
Student calibrated_student(const RunContext& context, const ShardFiles& shards) {
  if (auto stored = stored_calibrated(context)) return stored->student;
  const std::optional<Claim> owner = own_finetuning(context);
  if (auto stored = stored_calibrated(context)) return stored->student;  // whoever owned it before has made it
  return calibrate_student(context, shards).student;
}

}  // namespace

ExitCode sensitivity(const RunContext& context, bool json) {
  const QuantizationJob& quantization = context.job.quantization;
  if (quantization.correction == "low_rank" && quantization.low_rank.smoothed_channels > 0) {
    throw_once(context.cluster.communicator,
               BadInput("sensitivity needs the weights as they were before rounding, but 'quantization.low_rank."
                        "smoothed_channels' takes some of them out; set it to 0"));
  }
  const ShardFiles shards = finished_shards(context);
  const Student student = calibrated_student(context, shards).to(context.device());
  const Tensor images = probe_images(context, shards);
  const std::vector<NodeCost> costs = measure(context, student, images);
  on_root(context.cluster.communicator, [&] {
    const at::NoGradGuard no_grad;
    const double all = mean_divergence(forward(context.teacher_on_device(), images), student, images, quantizing_tap(student));
    const std::string kinds = probed_kinds(context.job.synthesis);
    const std::string text = json_text(json_of(costs, all, kinds), 1) + "\n";
    write_text_atomically(context.run.root / "sensitivity.json", text);
    print_result(json ? text : table_of(costs, all, kinds));
  });
  return ExitCode::done;
}

}  // namespace eidolon
