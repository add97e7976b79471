#include "quantization/head_rotation.h"

#include "gtest/gtest.h"
#include "quantization/calibration.h"
#include "quantization/range_search.h"
#include "quantization/student.h"
#include "random_model.h"
#include "tests/device/test_device.h"
#include "tests/research_job.h"

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
  const Network model = random_model();
  Network rotated = model.clone();
  rotate_heads(rotated);
  const Tensor images = random_images(*model.plan, 4);
  std::map<NodeId, Tensor> before, after;
  const auto into = [](std::map<NodeId, Tensor>& seen) {
    return [&seen](NodeId node, const Tensor& x) { return seen[node] = x; };
  };
  const Tensor expected = forward(model, images, into(before)), logits = forward(rotated, images, into(after));
  EXPECT_LT(largest_difference(logits, expected), 1e-4);
  const Tensor rotation = spreading_rotation(8).to(test_device(), at::kFloat);
  ASSERT_EQ(model.plan->attention.size(), 3U);
  for (const Attention& attention : model.plan->attention) {
    for (const NodeId node : {attention.query, attention.key, attention.value}) {
      EXPECT_LT(largest_difference(after[node], at::matmul(before[node], rotation)), 1e-4) << model.plan->name(node);
      EXPECT_GT(largest_difference(after[node], before[node]), 0.1) << model.plan->name(node);
    }
    EXPECT_LT(largest_difference(after[attention.probabilities], before[attention.probabilities]), 1e-5);
  }
}

/// A model in which one channel of each head's queries is large and the same channel of its keys small, as trained ones have.
Network with_outlier_channels(Network model) {
  for (const Attention& attention : model.plan->attention) {
    Tensor weight = model[model.plan->products[attention.qkv].weight];
    const int64_t width = weight.size(1), size = width / attention.heads;
    for (int64_t head = 0; head < attention.heads; ++head) {
      weight[head * size].mul_(12);
      weight[width + head * size].div_(12);
    }
  }
  return model;
}

TEST(HeadRotation, CalibratedStudentsComeCloserToATeacherWithOutliers) {
  const Network teacher = with_outlier_channels(random_model());
  const Tensor images = random_images(*teacher.plan, 16), unseen = random_images(*teacher.plan, 32, 9);
  QuantizationJob job = research_job();
  job.activation_format = "uniform";
  Scheme scheme;
  for (const auto& [node, spec] : scheme_of(job, *teacher.plan)) {
    const Role role = teacher.plan->role(node);
    if (role == Role::query || role == Role::key) scheme[node] = spec;
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
