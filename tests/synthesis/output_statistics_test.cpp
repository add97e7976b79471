#include "synthesis/output_statistics.h"

#include "storage/safetensors.h"
#include "synthesis/terms/batch_statistics.h"
#include "tests/places.h"
#include "tests/synthesis/small_teacher.h"

namespace eidolon {
namespace {

using testing::largest_difference;

std::filesystem::path small_resnet() {
  return testing::test_data() / "model" / "families" / "timm_resnet_basic";
}

Network in_double(const Network& network) {
  Network wide{network.plan, {}};
  for (const auto& [name, tensor] : network.parameters) wide.parameters[name] = tensor.to(at::kDouble);
  return wide;
}

Tensor random_images(int64_t count) {
  at::manual_seed(3);
  return at::randn({count, 3, 28, 28}, at::kDouble);
}

/// The outputs of every convolution that shows them, in the order in which the network computes them.
std::vector<Tensor> outputs_of(const Network& network, const Tensor& images) {
  std::vector<Tensor> outputs(network.plan->products.size());
  forward(network, images, [&](NodeId node, const Tensor& tensor) {
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (node == network.plan->products[i].output && node != NodeId{}) outputs[i] = tensor;
    }
    return tensor;
  });
  std::erase_if(outputs, [](const Tensor& tensor) { return !tensor.defined(); });
  return outputs;
}

std::vector<Tensor> statistics_of(const Network& network, const Tensor& images, int64_t read) {
  std::vector<Tensor> statistics;
  forward(network, images, statistics_tap(*network.plan, read, statistics, {}));
  return statistics;
}

TEST(OutputStatistics, AreMeanAndDeviationOverTheFirstImagesAndAllPlaces) {
  const Network network = in_double(read_teacher(small_resnet()).model);
  const Tensor images = random_images(5);
  const std::vector<Tensor> outputs = outputs_of(network, images), found = statistics_of(network, images, 3);
  ASSERT_EQ(found.size(), outputs.size());
  ASSERT_GT(found.size(), 8U);
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Tensor values = outputs[i].narrow(0, 0, 3).permute({1, 0, 2, 3}).flatten(1);
    EXPECT_LT(largest_difference(found[i][0], values.mean(1)), 1e-6) << i;
    EXPECT_LT(largest_difference(found[i][1], at::std(values, /*dim=*/1, /*unbiased=*/false)), 1e-6) << i;
  }
}

/// The mean of random multiples of all statistics, by the tap and by autograd's own operations.
Tensor gradient_of_mixture(const Network& network, const Tensor& images, int64_t read, bool by_tap) {
  const auto mixture = [&](const Tensor& x) {
    std::vector<Tensor> statistics;
    if (by_tap) {
      statistics = statistics_of(network, x, read);
    } else {
      for (const Tensor& maps : outputs_of(network, x)) {
        const Tensor values = maps.narrow(0, 0, read).permute({1, 0, 2, 3}).flatten(1);
        statistics.push_back(at::stack({values.mean(1), at::std(values, /*dim=*/1, /*unbiased=*/false)}));
      }
    }
    at::manual_seed(4);
    Tensor sum = at::zeros({}, at::kDouble);
    for (const Tensor& layer : statistics) sum = sum + (layer * at::randn(layer.sizes(), at::kDouble)).sum();
    return sum;
  };
  return testing::gradient_of(mixture, images);
}

TEST(OutputStatistics, HaveTheGradientOfTheirDefinition) {
  const Network network = in_double(read_teacher(small_resnet()).model);
  const Tensor images = random_images(4);
  for (const int64_t read : {4, 3}) {
    const Tensor expected = gradient_of_mixture(network, images, read, false);
    const Tensor found = gradient_of_mixture(network, images, read, true);
    EXPECT_LT(largest_difference(found, expected), 1e-5 * expected.abs().max().item<double>()) << read;
    if (read < 4) {
      EXPECT_EQ(found[3].abs().max().item<double>(), 0.0);
    }
  }
}

TEST(OutputStatistics, AreComparedInUnitsOfTheKeptDeviation) {
  const Tensor kept = at::tensor({1.0, -2.0, 4.0, 0.5}, at::kDouble).view({2, 2});
  const Tensor found = at::tensor({3.0, -1.0, 2.0, 1.0}, at::kDouble).view({2, 2});
  // ((3 - 1) / 4)^2 + (2 / 4 - 1)^2 = 1/2, and ((-1 + 2) / 0.5)^2 + (1 / 0.5 - 1)^2 = 5.
  EXPECT_NEAR(statistics_loss({found}, {kept}).item<double>(), (0.5 + 5.0) / 2, 1e-6);
  EXPECT_NEAR(statistics_loss({found, kept}, {kept, kept}).item<double>(), (0.5 + 5.0) / 4, 1e-6);
  EXPECT_EQ(statistics_loss({kept}, {kept}).item<double>(), 0.0);
}

TEST(OutputStatistics, OfAChannelThatNeverVariedStayFinite) {
  const Tensor kept = at::tensor({1.0, 0.0, 4.0, 0.0}, at::kDouble).view({2, 2});
  const Tensor found = at::tensor({1.0, 0.1, 4.0, 0.1}, at::kDouble).view({2, 2});
  EXPECT_TRUE(statistics_loss({found}, {kept}).isfinite().item<bool>());
}

/// BatchNorm's outputs have the mean beta and, since epsilon is a part of its divisor, a deviation a little below |gamma|.
TEST(OutputStatistics, ThatTheTeacherKeepsAreThoseOfItsFile) {
  const Teacher teacher = read_teacher(small_resnet());
  const TensorMap file = read_safetensors(small_resnet() / "model.safetensors").tensors;
  int64_t compared = 0;
  for (const auto& [name, gamma] : file) {
    if (!name.ends_with("bn1.weight") || name == "bn1.weight") continue;
    const std::string norm = name.substr(0, name.size() - std::string("weight").size());
    const std::string convolution = norm.substr(0, norm.size() - std::string("bn1.").size()) + "conv1.";
    const Tensor variance = file.at(norm + "running_var").to(at::kDouble);
    const Tensor kept = teacher.model[convolution + "statistics"];
    EXPECT_TRUE(at::equal(kept[0], file.at(norm + "bias"))) << name;
    const Tensor expected = (gamma.to(at::kDouble).square() * variance / (variance + 1e-5)).sqrt();
    EXPECT_LT(((kept[1] - expected) / expected).abs().max().item<double>(), 1e-5) << name;
    ++compared;
  }
  EXPECT_EQ(compared, 5);
}

}  // namespace
}  // namespace eidolon
