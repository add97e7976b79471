#include "model/families/vit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>

#include "tests/device/test_device.h"
#include "tests/model/model_data.h"

namespace eidolon {
namespace {

using testing::largest_difference;
using testing::model_data;
using testing::tiny_reference;

const Network& tiny() {
  static const Network model = read_teacher(model_data("tiny_random")).model;
  return model;
}

TEST(VisionTransformer, AgreesWithTimmAfterTheEmbeddingAndEveryBlock) {
  const at::NoGradGuard no_gradients;
  const TensorMap& reference = tiny_reference();
  Tensor tokens = forward_section(tiny(), 0, reference.at("input"));
  EXPECT_LT(largest_difference(tokens, reference.at("embedding")), 1e-4);
  for (int block = 0; block < 2; ++block) {
    tokens = forward_section(tiny(), block + 1, tokens);
    EXPECT_LT(largest_difference(tokens, reference.at("blocks." + std::to_string(block) + ".output")), 1e-4) << block;
  }
  EXPECT_LT(largest_difference(forward_section(tiny(), 3, tokens), reference.at("logits")), 1e-4);
  EXPECT_LT(largest_difference(forward(tiny(), reference.at("input")), reference.at("logits")), 1e-4);
}

TEST(VisionTransformer, ShowsTimmsAttentionProbabilitiesThroughTheTap) {
  const at::NoGradGuard no_gradients;
  int compared = 0;
  const Tap tap = [&](NodeId node, const Tensor& tensor) {
    if (tiny().plan->role(node) != Role::probabilities) return tensor;
    const std::string& name = tiny().plan->name(node);
    EXPECT_LT(largest_difference(tensor, tiny_reference().at(name)), 1e-4) << name;
    EXPECT_LT(largest_difference(tensor.sum(-1), at::ones({2, 2, 17})), 1e-5);
    ++compared;
    return tensor;
  };
  forward(tiny(), tiny_reference().at("input"), tap);
  EXPECT_EQ(compared, 2);
}

TEST(VisionTransformer, HasTimmsInputGradient) {
  const TensorMap& reference = tiny_reference();
  const Tensor input = reference.at("input").detach().clone().requires_grad_(true);
  const Tensor loss = (forward(tiny(), input) * reference.at("gradient_weights")).sum();
  const Tensor gradient = torch::autograd::grad({loss}, {input})[0];
  EXPECT_LT(largest_difference(gradient, reference.at("input_gradient")), 1e-4);
}

TEST(VisionTransformer, ReachesTheReferencesRoundingInFloat64) {
  const at::NoGradGuard no_gradients;
  const Network model = tiny().to(at::kCPU, at::kDouble);
  const Tensor logits = forward(model, tiny_reference().at("input").to(at::kDouble));
  EXPECT_EQ(logits.scalar_type(), at::kDouble);
  EXPECT_LT(largest_difference(logits, tiny_reference().at("logits")), 1e-6);
}

TEST(VisionTransformer, RunsInBfloat16) {
  const at::NoGradGuard no_gradients;
  const Network model = tiny().to(at::kCPU, at::kBFloat16);
  const Tensor logits = forward(model, tiny_reference().at("input").to(at::kBFloat16));
  EXPECT_EQ(logits.scalar_type(), at::kBFloat16);
  const double largest = tiny_reference().at("logits").abs().max().item<double>();
  EXPECT_LT(largest_difference(logits, tiny_reference().at("logits")), 0.05 * largest);
}

TEST(VisionTransformer, ImagesOfABatchDoNotMix) {
  const at::NoGradGuard no_gradients;
  const Tensor& input = tiny_reference().at("input");
  EXPECT_LT(largest_difference(forward(tiny(), input.narrow(0, 1, 1)), tiny_reference().at("logits").narrow(0, 1, 1)), 1e-4);
}

TEST(VisionTransformer, SectionsInSequenceAreTheForwardPass) {
  const at::NoGradGuard no_gradients;
  const Tensor& input = tiny_reference().at("input");
  const std::vector<Tensor> outputs = forward_outputs(tiny(), input);
  ASSERT_EQ(outputs.size(), 4U);
  Tensor x = input;
  for (int section = 0; section < tiny().plan->section_count(); ++section) {
    x = forward_section(tiny(), section, x);
    EXPECT_TRUE(at::equal(x, outputs[static_cast<size_t>(section)])) << section;
  }
  EXPECT_TRUE(at::equal(x, forward(tiny(), input)));
}

TEST(VisionTransformer, CloneIsDeep) {
  const Network copy = tiny().clone();
  copy["head.bias"].zero_();
  EXPECT_GT(tiny()["head.bias"].abs().max().item<double>(), 0);
  EXPECT_EQ(copy.plan, tiny().plan);
}

TEST(VisionTransformer, ShapesAreThoseOfTheWeights) {
  const auto& shapes = tiny().plan->parameters;
  EXPECT_EQ(shapes.size(), tiny().parameters.size());
  for (const auto& [name, tensor] : tiny().parameters) EXPECT_EQ(tensor.sizes(), at::IntArrayRef(shapes.at(name))) << name;
}

TEST(VisionTransformer, MacsOfDeitTinyAreThePublishedOnes) {
  EXPECT_NEAR(vit_plan({})->macs, 1.26e9, 0.01e9);  // timm's results table: 1.26 G
}

TEST(Tap, SeesEveryNodeOnceInTheOrderOfAllNodes) {
  const at::NoGradGuard no_gradients;
  std::vector<NodeId> seen;
  const Tap tap = [&](NodeId node, const Tensor& tensor) {
    seen.push_back(node);
    return tensor;
  };
  const Tensor logits = forward(tiny(), tiny_reference().at("input"), tap);
  EXPECT_TRUE(at::equal(logits, forward(tiny(), tiny_reference().at("input"))));
  const std::vector<NodeId> expected = tiny().plan->all_nodes();
  EXPECT_EQ(expected.size(), 4u + 2u * 12u);
  ASSERT_EQ(seen.size(), expected.size());
  for (size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], expected[i]) << tiny().plan->name(seen[i]);
}

TEST(Tap, ShowsWeightsAsTheParametersBehindThem) {
  const at::NoGradGuard no_gradients;
  const Tap tap = [&](NodeId node, const Tensor& tensor) {
    if (tiny().plan->is_weight(node)) {
      EXPECT_TRUE(tensor.is_same(tiny()[node])) << tiny().plan->name(node);
    }
    return tensor;
  };
  forward(tiny(), tiny_reference().at("input"), tap);
}

TEST(Tap, ReplacingAnyNodeChangesTheLogits) {
  const at::NoGradGuard no_gradients;
  const Tensor& input = tiny_reference().at("input");
  const Tensor logits = forward(tiny(), input);
  for (const NodeId node : tiny().plan->all_nodes()) {
    const Tap halve = [&](NodeId at, const Tensor& tensor) { return at == node ? tensor * 0.5 : tensor; };
    EXPECT_GT(largest_difference(forward(tiny(), input, halve), logits), 1e-3) << tiny().plan->name(node);
  }
}

TEST(Tap, ReplacedHeadInputIsWhatTheHeadMultiplies) {
  const at::NoGradGuard no_gradients;
  const NodeId input = tiny().plan->node("head.input");
  const Tap zero = [&](NodeId node, const Tensor& x) { return node == input ? at::zeros_like(x) : x; };
  const Tensor logits = forward(tiny(), tiny_reference().at("input"), zero);
  EXPECT_TRUE(at::equal(logits, tiny()["head.bias"].expand({2, 7})));
}

/// The input that scripts/references/make_model_references.py documents.
Tensor wave_input(int64_t size) {
  Tensor input = at::empty({2, 3, size, size});
  auto pixel = input.accessor<float, 4>();
  for (int64_t n = 0; n < 2; ++n)
    for (int64_t c = 0; c < 3; ++c)
      for (int64_t h = 0; h < size; ++h)
        for (int64_t w = 0; w < size; ++w)
          pixel[n][c][h][w] = static_cast<float>(std::sin(0.05 * static_cast<double>((h + 1) * (n + 1))) *
                                                     std::cos(0.07 * static_cast<double>(w + 1)) +
                                                 0.1 * static_cast<double>(c));
  return input;
}

class RealModel : public ::testing::TestWithParam<const char*> {};

TEST_P(RealModel, GivesTimmsLogits) {
  const std::string name = GetParam();
  const auto folder = testing::real_model(name);
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is absent; set EIDOLON_DATA to the folder with models/";
  const at::NoGradGuard no_gradients;
  const Teacher teacher = read_teacher(folder);
  const Tensor expected = read_safetensors(model_data(name + "_logits.safetensors")).tensors.at("logits");
  const Tensor logits = forward(teacher.model, wave_input(teacher.preprocessing.image_size));
  EXPECT_LT(largest_difference(logits, expected), 1e-4);
}

INSTANTIATE_TEST_SUITE_P(Both, RealModel, ::testing::Values("deit_tiny_patch16_224", "vit_tiny_patch16_224"),
                         [](const auto& entry) { return std::string(entry.param); });

/// A pass that nobody looks into may take attention in one kernel (on CUDA in bfloat16).
TEST(VisionTransformer, GivesTheSameWhetherOrNotSomebodyLooks) {
  const Network model = tiny().to(test_device(), at::kBFloat16);
  const Tensor images = tiny_reference().at("input").to(test_device(), at::kBFloat16);
  const auto logits_and_gradient = [&](const Tap& tap) {
    const Tensor input = images.detach().clone().requires_grad_(true);
    const Tensor logits = forward(model, input, tap);
    return std::pair(logits.detach().cpu(), torch::autograd::grad({logits.to(at::kFloat).square().sum()}, {input})[0].cpu());
  };
  const auto [logits, gradient] = logits_and_gradient({});
  const auto [seen_logits, seen_gradient] = logits_and_gradient([](NodeId, const Tensor& tensor) { return tensor; });
  const auto distance = [](const Tensor& a, const Tensor& b) {
    return ((a - b).to(at::kDouble).norm() / b.to(at::kDouble).norm()).item<double>();
  };
  EXPECT_LT(distance(logits, seen_logits), 2e-2);
  EXPECT_LT(distance(gradient, seen_gradient), 4e-2);
}

}  // namespace
}  // namespace eidolon
