#include "quantization/head_rotation.h"

#include "gtest/gtest.h"
#include "quantization/calibration.h"
#include "quantization/range_search.h"
#include "quantization/student.h"
#include "random_model.h"

namespace eidolon {
namespace {

double largest_difference(const Tensor& a, const Tensor& b) {
  return (a - b).abs().max().item<double>();
}

TEST(SpreadingRotation, IsOrthogonalAndFlat) {
  for (const int64_t n : {1, 2, 3, 5, 8, 12, 64, 80, 96}) {
    const Tensor rotation = spreading_rotation(n);
    EXPECT_LT(largest_difference(at::matmul(rotation, rotation.t()), at::eye(n, at::kDouble)), 1e-12) << n;
    // An entry of 1 / sqrt(n) is the flattest there is; the cosines of an odd factor reach sqrt(2) of it.
    EXPECT_LE(rotation.abs().max().item<double>(), std::sqrt(2.0 / static_cast<double>(n)) + 1e-12) << n;
  }
}

TEST(HeadRotation, LeavesLogitsAndAttentionAndRotatesQueryKeyAndValue) {
  const VisionTransformer model = random_model(small_architecture());
  VisionTransformer rotated = model.clone();
  rotate_heads(rotated);
  const Tensor images = random_images(model.architecture, 4);
  std::map<NodeId, Tensor> before, after;
  const auto into = [](std::map<NodeId, Tensor>& seen) {
    return [&seen](NodeId node, const Tensor& x) { return seen[node] = x; };
  };
  const Tensor expected = forward(model, images, into(before)), logits = forward(rotated, images, into(after));
  EXPECT_LT(largest_difference(logits, expected), 1e-4);
  const Tensor rotation = spreading_rotation(8).to(at::kFloat);
  for (int block = 0; block < 3; ++block) {
    for (const NodeKind kind : {NodeKind::query, NodeKind::key, NodeKind::value}) {
      const NodeId node{block, kind};
      EXPECT_LT(largest_difference(after[node], at::matmul(before[node], rotation)), 1e-4) << node_name(node);
      EXPECT_GT(largest_difference(after[node], before[node]), 0.1) << node_name(node);
    }
    const NodeId probabilities{block, NodeKind::probabilities};
    EXPECT_LT(largest_difference(after[probabilities], before[probabilities]), 1e-5);
  }
}

/// A model in which one channel of each head's queries is large and the same channel of its keys small, as trained ones have.
VisionTransformer with_outlier_channels(VisionTransformer model) {
  const int64_t size = model.architecture.width / model.architecture.heads, width = model.architecture.width;
  for (int block = 0; block < model.architecture.depth; ++block) {
    Tensor weight = model.parameters.at("blocks." + std::to_string(block) + ".attn.qkv.weight");
    for (int64_t head = 0; head < model.architecture.heads; ++head) {
      weight[head * size].mul_(12);
      weight[width + head * size].div_(12);
    }
  }
  return model;
}

TEST(HeadRotation, CalibratedStudentsComeCloserToATeacherWithOutliers) {
  const VisionTransformer teacher = with_outlier_channels(random_model(small_architecture()));
  const Tensor images = random_images(teacher.architecture, 16), unseen = random_images(teacher.architecture, 32, 9);
  QuantizationJob job;
  job.activation_kind = "uniform";
  Scheme scheme;
  for (const auto& [node, spec] : scheme_of(job, 3)) {
    if (node.kind == NodeKind::query || node.kind == NodeKind::key) scheme[node] = spec;
  }
  const auto quality = [&](bool rotate) {
    CalibrationSettings settings;
    settings.rotate_heads = rotate;
    const Student student = calibrate(teacher, scheme, images, settings);
    return sqnr(forward(teacher, unseen), forward(student.model, unseen, quantizing_tap(student)));
  };
  EXPECT_GT(quality(true), quality(false) + 3);
}

}  // namespace
}  // namespace eidolon
