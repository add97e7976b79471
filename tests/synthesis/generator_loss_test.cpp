#include "synthesis/generator_loss.h"

#include <cmath>
#include <map>
#include <string>

#include "base/error.h"
#include "numerics/adam.h"
#include "storage/safetensors.h"
#include "synthesis/generator_files.h"
#include "tests/places.h"
#include "tests/synthesis/small_teacher.h"

namespace eidolon {
namespace {

using testing::largest_difference;

std::filesystem::path small_resnet() {
  return testing::test_data() / "model" / "families" / "timm_resnet_basic";
}

SynthesisTeacher resnet_teacher(at::ScalarType dtype = at::kDouble) {
  const Teacher teacher = read_teacher(small_resnet());
  return {teacher.model.to(test_device(), dtype), teacher.preprocessing};
}

SynthesisJob generator_job() {
  SynthesisJob job = testing::small_job("generator");
  job.generator.batch = 8;
  return job;
}

Tensor pixels_of(int64_t images) {
  at::manual_seed(5);
  return (at::randn({images, 3, 28, 28}, at::kDouble) * 0.7).to(test_device());
}

Conditions conditions_of(int64_t images, int64_t classes) {
  Conditions conditions = training_conditions(1, classes, 0, images, 0);
  conditions.noise = conditions.noise.to(at::kDouble);
  return conditions.to(test_device());
}

TEST(AttentionCentre, IsTheCentreOfMassOfSquaredMaps) {
  Tensor maps = at::zeros({2, 16, 3});
  maps[0][5][1] = -2;               // row 1, column 1 of 4 x 4
  maps[1][3][0] = 1;                // row 0, column 3
  maps[1][15][2] = std::sqrt(3.0);  // row 3, column 3, three times as strong
  const Tensor attention = attention_of_maps(maps.to(test_device()));
  EXPECT_LT(largest_difference(attention.sum(1), at::ones({2})), 1e-6);
  const Tensor expected = at::tensor({1.5 / 4, 1.5 / 4, (0.5 + 3 * 3.5) / 4 / 4, 3.5 / 4}).view({2, 2});
  EXPECT_LT(largest_difference(attention_centre(attention), expected), 1e-6);
}

TEST(PairLoss, IsTheRatioOfDistancesBothInTheirUnits) {
  const Tensor features = at::tensor({1.0, 3.0, 2.0, 2.0, /**/ 1.0, 1.0, 1.0, 1.0}, at::kDouble).view({4, 2});
  const Tensor noise = at::tensor({0.0, 1.0, 1.0, -3.0, /**/ 1.0, 0.0, 0.0, 0.0}, at::kDouble).view({4, 2});
  // First pair: mean |f1 - f2| = 1, mean magnitude 2, mean |z1 - z2| = 2.5, so 0.2. Second pair: equal features.
  const Tensor expected = at::tensor({-0.2, -0.2, 0.0, 0.0});
  EXPECT_LT(largest_difference(pair_loss(features.to(test_device()), noise.to(test_device())), expected), 1e-4);
}

TEST(PairLoss, SeeksNoMoreDifferenceThanThatOfTheNoise) {
  const Tensor features = at::tensor({1.0, -1.0}).view({2, 1}).to(test_device());
  const Tensor noise = at::tensor({0.0, 0.1}).view({2, 1}).to(test_device());
  EXPECT_LT(largest_difference(pair_loss(features, noise), at::tensor({-1.0, -1.0})), 1e-6);
}

TEST(ConsistencyLoss, IsZeroForEqualAttentionAndTwoForAttentionElsewhere) {
  const Tensor here = at::tensor({1.0, 0.0, 0.0, 2.0}).view({2, 2}).to(test_device());
  const Tensor there = at::tensor({3.0, 0.0, 5.0, 0.0}).view({2, 2}).to(test_device());
  EXPECT_LT(largest_difference(consistency_loss({here, here}, {here, there}), at::tensor({0.0, 1.0})), 1e-6);
}

/// PyTorch's BatchNorm in training mode on the weights of the file, before anything was folded.
TEST(BatchMode, ComputesAsBatchNormDoesInTraining) {
  const Teacher teacher = read_teacher(small_resnet());
  TensorMap file = read_safetensors(small_resnet() / "model.safetensors").tensors;
  for (auto& [name, tensor] : file) tensor = tensor.to(at::kFloat);
  const Tensor images = pixels_of(6).to(at::kFloat);
  NodeId first;
  for (const Product& product : teacher.model.plan->products) {
    if (product.statistics == "conv1.statistics") first = product.output;
  }
  ASSERT_NE(first, NodeId{});
  const Network network = teacher.model.to(test_device(), at::kFloat);
  Tensor found;
  const Tap batch_mode = batch_mode_tap(network);
  forward(network, images, [&](NodeId node, const Tensor& tensor) {
    const Tensor given = batch_mode(node, tensor);
    if (node == first) found = given;
    return given;
  });
  const Tensor weight = file.at("conv1.weight");
  const int64_t stride = images.size(2) / found.size(2), padding = weight.size(2) / 2;
  const Tensor plain = at::conv2d(images.cpu(), weight, {}, stride, padding);
  const Tensor expected =
      at::batch_norm(plain, file.at("bn1.weight"), file.at("bn1.bias"), {}, {}, /*training=*/true, 0.1, 1e-5, false);
  EXPECT_LT(largest_difference(found, expected), 1e-3 * expected.abs().max().item<double>());
}

TEST(BatchMode, GivesEveryConvolutionTheMomentsThatBatchNormKept) {
  const SynthesisTeacher teacher = resnet_teacher();
  std::map<NodeId, Tensor> given;
  const Tap batch_mode = batch_mode_tap(teacher.model);
  forward(teacher.model, pixels_of(8),
          [&](NodeId node, const Tensor& tensor) { return given[node] = batch_mode(node, tensor); });
  int64_t compared = 0;
  for (const Product& product : teacher.plan().products) {
    if (product.statistics.empty()) continue;
    const Tensor values = given.at(product.output).permute({1, 0, 2, 3}).flatten(1).to(at::kDouble);
    const Tensor kept = teacher.model[product.statistics];
    EXPECT_LT(largest_difference(values.mean(1), kept[0]), 1e-3) << product.statistics;
    EXPECT_LT(largest_difference(values.std(1, false), kept[1]), 1e-3) << product.statistics;
    ++compared;
  }
  EXPECT_GT(compared, 8);
}

TEST(GeneratorLosses, HaveTheGradientsOfTheirValues) {
  const SynthesisTeacher teacher = resnet_teacher();
  const Conditions conditions = conditions_of(4, teacher.plan().output.size);
  SynthesisJob job = generator_job();
  job.variation_weight = 0.5;
  for (const std::string_view term : generator_terms(job)) {
    SCOPED_TRACE(std::string(term));
    const auto loss = [&](const Tensor& pixels) {
      for (const TermLoss& one : generator_losses(teacher, job, conditions, pixels)) {
        if (one.name == term) return one.value.to(at::kDouble).sum();
      }
      return Tensor();
    };
    testing::expect_gradient_matches_differences(loss, pixels_of(4), 2e-3, 2e-2);
  }
}

TEST(GeneratorLosses, AreThoseThatTheJobWeighs) {
  const SynthesisTeacher teacher = resnet_teacher();
  SynthesisJob job = generator_job();
  EXPECT_EQ(generator_terms(job), (std::vector<std::string_view>{"class", "statistics", "centre", "pairs", "consistency"}));
  job.generator = {.batch = 8, .class_weight = 0.5, .centre_weight = 0, .pair_weight = 0, .consistency_weight = 0};
  const auto losses = generator_losses(teacher, job, conditions_of(4, teacher.plan().output.size), pixels_of(4));
  ASSERT_EQ(losses.size(), 2U);
  EXPECT_EQ(losses[0].name, "class");
  EXPECT_EQ(losses[0].weight, 0.5);
  EXPECT_EQ(losses[1].name, "statistics");
  EXPECT_FALSE(generator_shape(teacher.plan(), job).placed);
  EXPECT_TRUE(generator_shape(teacher.plan(), generator_job()).placed);
}

TEST(GeneratorLosses, RefuseAJobWithoutATerm) {
  SynthesisJob job = generator_job();
  job.batchnorm_weight = 0;
  job.generator = {.batch = 8, .class_weight = 0, .centre_weight = 0, .pair_weight = 0, .consistency_weight = 0};
  EXPECT_THROW(generator_shape(resnet_teacher().plan(), job), BadInput);
}

TEST(GeneratorLosses, RefuseATeacherWithAttention) {
  EXPECT_THROW(generator_shape(*testing::small_plan(), generator_job()), BadInput);
}

/// The mean over the images of the only loss of `job`, at each of the first steps on one batch.
std::vector<double> learnt(const SynthesisTeacher& teacher, const SynthesisJob& job) {
  GeneratorState state = start_generator(generator_shape(teacher.plan(), job), 1, test_device());
  const Conditions conditions = training_conditions(1, teacher.plan().output.size, 0, 8, 0).to(test_device());
  std::vector<double> values;
  for (int step = 0; step < 12; ++step) {
    for (auto& [name, parameter] : state.generator.parameters) parameter = parameter.detach().requires_grad_(true);
    const Tensor pixels = generate(state.generator, conditions, teacher.preprocessing, at::kFloat);
    const std::vector<TermLoss> losses = generator_losses(teacher, job, conditions, pixels);
    EXPECT_EQ(losses.size(), 1U);
    values.push_back(losses[0].value.detach().mean().item<double>());
    torch::autograd::backward({weighted_sum(losses) / 8}, {});
    for (auto& [name, parameter] : state.generator.parameters) {
      if (!parameter.grad().defined()) continue;
      adam_step(parameter, parameter.grad(), state.moments.at(name), at::scalar_tensor(3e-3), {0.5, 0.999, 1e-8});
    }
  }
  return values;
}

TEST(GeneratorLosses, AreEachLearntAlone) {
  const SynthesisTeacher teacher = resnet_teacher(at::kFloat);
  SynthesisJob none = generator_job();
  none.batchnorm_weight = 0;
  none.generator = {.batch = 8, .class_weight = 0, .centre_weight = 0, .pair_weight = 0, .consistency_weight = 0};
  std::map<std::string, SynthesisJob> jobs;
  for (const char* name : {"class", "statistics", "centre", "pairs", "consistency"}) jobs[name] = none;
  jobs["class"].generator.class_weight = jobs["centre"].generator.centre_weight = 1;
  jobs["pairs"].generator.pair_weight = jobs["consistency"].generator.consistency_weight = 1;
  jobs["statistics"].batchnorm_weight = 1;
  for (const auto& [name, job] : jobs) {
    ASSERT_EQ(generator_terms(job), std::vector<std::string_view>{name});
    const std::vector<double> values = learnt(teacher, job);
    EXPECT_LT(values.back(), values.front() - 0.02 * std::abs(values.front())) << name;
  }
}

}  // namespace
}  // namespace eidolon
