#include <algorithm>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "evaluation/metrics.h"
#include "reporting/progress.h"
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
  int64_t bits = 0;
  double alone = 0;   ///< with this node quantized and nothing else
  double spared = 0;  ///< with everything but this node quantized
};

/// Held-out images or, without any, the first ones.
Tensor probe_images(const RunContext& context, const ShardFiles& shards) {
  const SynthesisJob& job = context.job.synthesis;
  const int64_t made = static_cast<int64_t>(units_of(job).size()) * job.unit_images;
  const int64_t first = made > job.images ? job.images : 0;
  std::vector<int64_t> wanted;
  for (int64_t image = first; image < std::min(made, first + most_images); ++image) wanted.push_back(image);
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

double divergence(const Tensor& teacher, const Student& student, const Tensor& images, const Tap& tap) {
  const Tensor expected = teacher.log_softmax(-1), logits = forward(student.model, images, tap).log_softmax(-1);
  return (expected.exp() * (expected - logits)).sum(-1).mean().item<double>();
}

/// Each rank measures every size-th node.
std::vector<NodeCost> measure(RunContext& context, const Student& student, const Tensor& images) {
  const at::NoGradGuard no_grad;
  const Cluster& cluster = context.cluster;
  const Tensor teacher = forward(context.teacher_on_device(), images);
  std::vector<NodeCost> costs;
  for (const auto& [node, quantizer] : student.quantizers) costs.push_back({node, quantizer.spec.bits});
  Tensor values = at::zeros({static_cast<int64_t>(costs.size()), 2}, at::kDouble);
  Progress progress("sensitivity", static_cast<double>(costs.size()) / cluster.size(), "nodes", cluster.is_root());
  for (size_t i = static_cast<size_t>(cluster.rank()); i < costs.size(); i += static_cast<size_t>(cluster.size())) {
    const auto row = static_cast<int64_t>(i);
    values[row][0] = divergence(teacher, student, images, only(student, costs[i].node));
    values[row][1] = divergence(teacher, student, images, all_but(student, costs[i].node));
    progress.advance(1);
    context.report("sensitivity", node_name(costs[i].node), progress);
  }
  cluster.communicator.all_reduce_sum(values);
  for (size_t i = 0; i < costs.size(); ++i) {
    costs[i].alone = values[static_cast<int64_t>(i)][0].item<double>();
    costs[i].spared = values[static_cast<int64_t>(i)][1].item<double>();
  }
  return costs;
}

ordered_json json_of(const std::vector<NodeCost>& costs, double all) {
  ordered_json nodes = ordered_json::array();
  for (const NodeCost& cost : costs) {
    nodes.push_back(
        {{"name", node_name(cost.node)}, {"bits", cost.bits}, {"kl_alone", cost.alone}, {"kl_spared", cost.spared}});
  }
  return {{"kl_all", all}, {"nodes", nodes}};
}

std::string table_of(std::vector<NodeCost> costs, double all) {
  std::sort(costs.begin(), costs.end(), [](const NodeCost& a, const NodeCost& b) { return a.alone > b.alone; });
  char line[160];
  std::snprintf(line, sizeof line, "KL of the calibrated student %.4f nats\n%-30s %4s %12s %12s\n", all, "node", "bits",
                "KL alone", "KL spared");
  std::string text = line;
  for (const NodeCost& cost : costs) {
    std::snprintf(line, sizeof line, "%-30s %4ld %12.5f %12.5f\n", node_name(cost.node).c_str(), static_cast<long>(cost.bits),
                  cost.alone, cost.spared);
    text += line;
  }
  return text;
}

}  // namespace

ExitCode sensitivity(RunContext& context, bool json) {
  const ShardFiles shards = finished_shards(context);
  const std::vector<int64_t> steps = checkpoint_steps(context.run);
  const bool calibrated = std::ranges::find(steps, 0) != steps.end();
  const Student student =
      (calibrated ? calibrated_checkpoint(context) : calibrate_student(context, shards)).student.to(context.device());
  const Tensor images = probe_images(context, shards);
  const std::vector<NodeCost> costs = measure(context, student, images);
  if (!context.cluster.is_root()) return ExitCode::done;
  const at::NoGradGuard no_grad;
  const double all = divergence(forward(context.teacher_on_device(), images), student, images, quantizing_tap(student));
  const std::string text = json_of(costs, all).dump(1) + "\n";
  write_text_atomically(context.run.root / "sensitivity.json", text);
  std::cout << (json ? text : table_of(costs, all)) << std::flush;
  return ExitCode::done;
}

}  // namespace eidolon
