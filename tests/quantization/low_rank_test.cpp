#include "quantization/low_rank.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "quantization/calibration.h"
#include "random_model.h"
#include "tests/research_job.h"

namespace eidolon {
namespace {

/// A positive definite metric of very unequal directions.
Tensor random_metric(int64_t inputs) {
  const Tensor rows = at::randn({4 * inputs, inputs}, at::kDouble) * at::exp(at::randn({inputs}, at::kDouble));
  return at::mm(rows.t(), rows);
}

double weighted_error(const Tensor& error, const LowRankFactors& factors, const Tensor& metric) {
  const Tensor left_over = error - at::mm(factors.left, factors.right).t().to(at::kDouble);
  return (left_over * at::mm(metric, left_over)).sum().item<double>();
}

/// The least that any product of rank r leaves is the sum of all but the r largest eigenvalues of E^T H E (Eckart and Young).
TEST(LowRank, LeavesTheSmallestEigenvaluesOfTheWeightedError) {
  at::manual_seed(1);
  const Tensor metric = random_metric(20), error = at::randn({20, 12}, at::kDouble);
  const Tensor eigenvalues = at::linalg_eigvalsh(at::mm(error.t(), at::mm(metric, error)));  // ascending
  for (const int64_t rank : {1, 3, 7, 11}) {
    const LowRankFactors factors = nearest_of_low_rank(error, metric, {.rank = rank});
    ASSERT_EQ(factors.left.sizes(), (std::vector<int64_t>{12, rank}));
    ASSERT_EQ(factors.right.sizes(), (std::vector<int64_t>{rank, 20}));
    const double least = eigenvalues.narrow(0, 0, 12 - rank).sum().item<double>();
    EXPECT_NEAR(weighted_error(error, factors, metric) / least, 1, 1e-4) << rank;
  }
}

TEST(LowRank, OfFullRankLeavesNothing) {
  at::manual_seed(2);
  const Tensor metric = random_metric(9), error = at::randn({9, 14}, at::kDouble);
  const LowRankFactors factors = nearest_of_low_rank(error, metric, {.rank = 64});
  EXPECT_EQ(factors.left.size(1), 9);
  EXPECT_LT((at::mm(factors.left, factors.right).t() - error).abs().max().item<double>(), 1e-5);
}

TEST(LowRank, KeepsTheFewestSingularValuesWithTheShare) {
  // Singular values 8, 4, 2, 1, 1 of 16.
  const Tensor error = at::diag(at::tensor({8.0, 4.0, 2.0, 1.0, 1.0}, at::kDouble));
  const Tensor metric = at::eye(5, at::kDouble);
  const auto rank = [&](double share, int64_t most) {
    return nearest_of_low_rank(error, metric, {.rank = most, .share = share}).left.size(1);
  };
  EXPECT_EQ(rank(0.4, 5), 1);
  EXPECT_EQ(rank(0.7, 5), 2);
  EXPECT_EQ(rank(0.8, 5), 3);
  EXPECT_EQ(rank(0.8, 2), 2);
  EXPECT_EQ(rank(1.0, 5), 5);
}

TEST(LowRank, MomentsAreThoseAboutTheMean) {
  at::manual_seed(3);
  Gram gram = empty_gram(6, 2, at::kCPU);
  const Tensor x = at::randn({300, 6}) * 2 + 5;
  accumulate(gram, x, at::randn({300, 2}));
  const Tensor centred = x.to(at::kDouble) - x.to(at::kDouble).mean(0);
  const Tensor expected = at::mm(centred.t(), centred);
  const Tensor difference = centred_moments(gram) - expected;
  const double damping = difference.diagonal().mean().item<double>();
  EXPECT_NEAR(damping / expected.diagonal().mean().item<double>(), 1e-4, 1e-6);
  EXPECT_LT((difference - at::eye(6, at::kDouble) * damping).abs().max().item<double>(), 1e-6);
}

Quantizer branch_quantizer(int64_t bits) {
  at::manual_seed(4);
  Quantizer quantizer{.spec = {.bits = 4, .scaling = per_channel(0), .branch_bits = bits},
                      .scale = at::full({5}, 0.1F),
                      .zero_point = at::full({5}, 8.0F)};
  quantizer.left = at::randn({5, 2});
  quantizer.right = at::randn({2, 7});
  return quantizer;
}

TEST(LowRank, IsAddedToTheRoundedWeightInItsStoredPrecision) {
  for (const int64_t bits : {8, 16}) {
    const Quantizer quantizer = branch_quantizer(bits);
    Quantizer without = quantizer;
    without.left = without.right = Tensor();
    const Tensor weight = at::randn({5, 7});
    const Tensor added = fake_quantize(weight, quantizer) - fake_quantize(weight, without);
    const Tensor exact = at::mm(quantizer.left, quantizer.right);
    const double error = (added - exact).abs().max().item<double>();
    EXPECT_GT(error, 1e-6) << bits;
    EXPECT_LT(error, bits == 8 ? 0.06 : 0.005) << bits;
  }
  const Tensor half = at::randn({4, 3});
  EXPECT_TRUE(at::equal(stored_factor(half, 16), half.to(at::kHalf).to(at::kFloat)));
  const Tensor bytes = stored_factor(half, 8) / factor_steps(half).unsqueeze(1);
  EXPECT_LT((bytes - bytes.round()).abs().max().item<double>(), 1e-4);
  EXPECT_EQ(bytes.round().abs().max().item<double>(), 127);
}

TEST(LowRank, GradientsAreThoseOfTheProductOfStoredFactors) {
  Quantizer quantizer = branch_quantizer(8);
  quantizer.left.requires_grad_(true);
  quantizer.right.requires_grad_(true);
  const Tensor weight = at::randn({5, 7}), upstream = at::randn({5, 7});
  (fake_quantize(weight, quantizer) * upstream).sum().backward();
  const Tensor left = stored_factor(quantizer.left.detach(), 8), right = stored_factor(quantizer.right.detach(), 8);
  EXPECT_LT((quantizer.left.grad() - at::mm(upstream, right.t())).abs().max().item<double>(), 1e-5);
  EXPECT_LT((quantizer.right.grad() - at::mm(left.t(), upstream)).abs().max().item<double>(), 1e-5);
}

TEST(LowRank, SmoothingChangesNoOutputAndLevelsTheChosenChannels) {
  const at::NoGradGuard no_gradients;
  Network network = random_model();
  network.parameters["blocks.1.norm2.weight"][7] = 40.0;
  const Network before = network.clone();
  const Tensor images = random_images(*network.plan, 8);
  const auto chosen = smooth_channels(network, images, 3, 4);
  const NodeId fc1 = network.plan->node("blocks.1.mlp.fc1.weight");
  ASSERT_EQ(chosen.at(fc1).numel(), 3);
  EXPECT_TRUE(at::eq(chosen.at(fc1), 7).any().item<bool>());
  EXPECT_LT((forward(network, images) - forward(before, images)).abs().max().item<double>(), 1e-3);
  const auto sizes = [&](const Network& of) {
    Tensor result;
    forward(of, images, [&](NodeId node, const Tensor& tensor) {
      if (network.plan->name(node) == "blocks.1.mlp.fc1.input")
        result = tensor.reshape({-1, tensor.size(-1)}).square().mean(0).sqrt().index_select(0, chosen.at(fc1));
      return tensor;
    });
    return result;
  };
  const Tensor old_sizes = sizes(before), new_sizes = sizes(network);
  EXPECT_GT((old_sizes.max() / old_sizes.min()).item<double>(), 3);
  EXPECT_NEAR((new_sizes.max() / new_sizes.min()).item<double>(), 1, 1e-3);
}

QuantizationJob with_rank(int64_t rank) {
  QuantizationJob job = research_job();
  job.correction = "low_rank";
  job.low_rank.rank = rank;
  return job;
}

Student calibrated(const Network& teacher, const QuantizationJob& job, const Tensor& images) {
  return calibrate(teacher, scheme_of(job, *teacher.plan), images, calibration_settings(job));
}

TEST(LowRank, BringsUnseenOutputsCloserTheHigherItsRank) {
  const at::NoGradGuard no_gradients;
  const Network teacher = random_model();
  const Tensor images = random_images(*teacher.plan, 48), unseen = random_images(*teacher.plan, 48, 8);
  const auto quality = [&](const QuantizationJob& job) {
    const Student student = calibrated(teacher, job, images);
    return sqnr(forward(teacher, unseen), forward(student.model, unseen, quantizing_tap(student)));
  };
  QuantizationJob bias = research_job();
  bias.weight_bits = 2;
  bias.activation_bits = 8;
  QuantizationJob few = with_rank(4), many = with_rank(16), smoothed = with_rank(16), compensated = with_rank(4);
  smoothed.low_rank.smoothed_channels = 4;
  compensated.low_rank.rounding = "compensated";
  for (QuantizationJob* job : {&few, &many, &smoothed, &compensated}) {
    job->weight_bits = 2;
    job->activation_bits = 8;
  }
  const double of_bias = quality(bias), of_few = quality(few), of_many = quality(many);
  EXPECT_GT(of_few, of_bias + 2);
  EXPECT_GT(of_many, of_few + 2);
  EXPECT_GT(quality(smoothed), of_few + 2);
  EXPECT_GT(quality(compensated), of_bias + 2);
}

TEST(LowRank, SurvivesACheckpointAndIsCheckedThere) {
  const Network teacher = random_model();
  const QuantizationJob job = with_rank(3);
  const Scheme scheme = scheme_of(job, *teacher.plan);
  const Student student = calibrated(teacher, job, random_images(*teacher.plan, 8));
  TensorMap tensors = student_tensors(student);
  const Student back =
      student_from_tensors(tensors, scheme_from_json(scheme_to_json(scheme, *teacher.plan), *teacher.plan), teacher.plan);
  const NodeId fc1 = teacher.plan->node("blocks.0.mlp.fc1.weight");
  EXPECT_TRUE(at::equal(back.quantizers.at(fc1).left, student.quantizers.at(fc1).left));
  EXPECT_TRUE(at::equal(back.quantizers.at(fc1).right, student.quantizers.at(fc1).right));
  EXPECT_EQ(back.quantizers.at(fc1).spec.branch_bits, 16);

  tensors.at("quantizers/blocks.0.mlp.fc1.weight/right") = at::zeros({2, 24});
  EXPECT_THROW(student_from_tensors(tensors, scheme, teacher.plan), Fault);
  tensors.erase("quantizers/blocks.0.mlp.fc1.weight/left");
  EXPECT_THROW(student_from_tensors(tensors, scheme, teacher.plan), Fault);
}

TEST(LowRank, CountsTheBitsOfItsFactors) {
  const Network teacher = random_model();
  const Student half = calibrated(teacher, with_rank(2), random_images(*teacher.plan, 8));
  QuantizationJob bytes_job = with_rank(2);
  bytes_job.low_rank.precision = "int8";
  const Student bytes = calibrated(teacher, bytes_job, random_images(*teacher.plan, 8));
  double weights = 0, factors = 0, rows = 0;
  for (const Product& product : teacher.plan->products) {
    const Tensor weight = teacher[product.weight].flatten(1);
    weights += static_cast<double>(weight.numel());
    factors += 2.0 * static_cast<double>(weight.size(0) + weight.size(1));
    rows += static_cast<double>(weight.size(0) + 2);
  }
  EXPECT_DOUBLE_EQ(branch_bits_per_weight(half.quantizers, *teacher.plan), 16 * factors / weights);
  EXPECT_DOUBLE_EQ(branch_bits_per_weight(bytes.quantizers, *teacher.plan), (8 * factors + 32 * rows) / weights);
  EXPECT_EQ(
      branch_bits_per_weight(calibrated(teacher, research_job(), random_images(*teacher.plan, 8)).quantizers, *teacher.plan),
      0);
}

}  // namespace
}  // namespace eidolon
