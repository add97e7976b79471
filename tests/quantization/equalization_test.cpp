#include "quantization/equalization.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "model/loading/teacher.h"
#include "storage/safetensors.h"
#include "tests/places.h"

namespace eidolon {
namespace {

std::filesystem::path family(const std::string& name) {
  return testing::test_data() / "model" / "families" / name;
}

Tensor images_of(const std::string& name) {
  return read_safetensors(family(name) / "reference.safetensors").tensors.at("images");
}

/// The inputs of depthwise convolutions, by name.
std::map<std::string, Tensor> depthwise_inputs(const Network& network, const Tensor& images) {
  std::map<std::string, Tensor> inputs;
  forward(network, images, [&](NodeId node, const Tensor& tensor) {
    const Product* product = network.plan->product_reading(node);
    if (product != nullptr && product->convolution && network[product->weight].size(1) == 1)
      inputs[network.plan->name(node)] = tensor;
    return tensor;
  });
  return inputs;
}

class Equalization : public ::testing::TestWithParam<std::string> {};

TEST_P(Equalization, LeavesTheFunctionAsItIsOnTheImages) {
  const at::NoGradGuard no_gradients;
  const Network before = read_teacher(family(GetParam())).model;
  const Tensor images = images_of(GetParam());
  Network network = before.clone();
  equalize_channels(network, images, 1);
  const Tensor expected = forward(before, images), found = forward(network, images);
  EXPECT_LT((found - expected).abs().max().item<double>(), 1e-4 * expected.abs().max().item<double>());
  int64_t changed = 0;
  for (const auto& [name, tensor] : before.parameters) changed += at::equal(tensor, network[name]) ? 0 : 1;
  EXPECT_GT(changed, 6);
}

TEST_P(Equalization, GivesTheChannelsInFrontOfADepthwiseConvolutionMoreOfTheRange) {
  const at::NoGradGuard no_gradients;
  const Network before = read_teacher(family(GetParam())).model;
  const Tensor images = images_of(GetParam());
  Network network = before.clone();
  equalize_channels(network, images, 2);
  const auto former = depthwise_inputs(before, images), now = depthwise_inputs(network, images);
  ASSERT_GT(now.size(), 2U);
  for (const auto& [name, tensor] : now) {
    const Tensor factor = tensor.amax({0, 2, 3}) / former.at(name).amax({0, 2, 3}).clamp_min(1e-12);
    const Tensor alive = former.at(name).amax({0, 2, 3}) > 0;
    EXPECT_GE(factor.masked_select(alive).min().item<double>(), 0.99) << name;
    EXPECT_LE(tensor.max().item<double>(), 6.0) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, Equalization,
                         ::testing::Values("timm_mobilenetv2", "torchvision_mobilenet_v2", "timm_tf_efficientnet_lite"),
                         [](const auto& instance) { return instance.param; });

/// One depthwise pair by hand: the factor of a channel is 6 over its range, which is what was seen or what BatchNorm kept.
TEST(EqualizationOfOnePair, IsWhatBatchNormAndTheImagesSay) {
  const at::NoGradGuard no_gradients;
  const std::string name = "timm_mobilenetv2";
  const Network before = read_teacher(family(name)).model;
  Network network = before.clone();
  equalize_channels(network, images_of(name), 4);
  const Tensor statistics = before["blocks.1.0.conv_pw.statistics"].to(at::kDouble);
  const Tensor seen = depthwise_inputs(before, images_of(name)).at("blocks.1.0.conv_dw.input").amax({0, 2, 3}).to(at::kDouble);
  const Tensor range = at::minimum(at::maximum(seen, statistics[0] + 6 * statistics[1]), at::full_like(seen, 6));
  const Tensor factor = at::where(range < 6e-3, 1.0, 6 / range);
  const auto ratio = [&](const std::string& parameter) {
    return (network[parameter] / before[parameter]).to(at::kDouble).flatten(1).mean(1);
  };
  EXPECT_GT((factor.max() - factor.min()).item<double>(), 0.1);
  EXPECT_LT((ratio("blocks.1.0.conv_pw.weight") / factor - 1).abs().max().item<double>(), 1e-5);
  EXPECT_LT((ratio("blocks.1.0.conv_dw.weight") * factor - 1).abs().max().item<double>(), 1e-5);
}

TEST(EqualizationOfOnePair, HasNothingToDoWhereNoConvolutionIsDepthwise) {
  const Network before = read_teacher(family("timm_resnet_bottleneck")).model;
  Network network = before.clone();
  equalize_channels(network, images_of("timm_resnet_bottleneck"), 4);
  for (const auto& [name, tensor] : before.parameters) EXPECT_TRUE(at::equal(tensor, network[name])) << name;
}

}  // namespace
}  // namespace eidolon
