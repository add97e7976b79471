#include "synthesis/generator.h"

#include <cmath>
#include <numeric>

#include "base/error.h"
#include "synthesis/generator_files.h"
#include "tests/synthesis/small_teacher.h"

namespace eidolon {
namespace {

using testing::largest_difference;

const GeneratorShape small_shape{.classes = 5, .channels = 3, .image_size = 16, .placed = true};

Generator small_generator() {
  Generator generator = initial_generator(small_shape, 3);
  for (auto& [name, tensor] : generator.parameters) tensor = tensor.to(test_device());
  return generator;
}

std::vector<int64_t> indices(int64_t first, int64_t count) {
  std::vector<int64_t> result(static_cast<size_t>(count));
  std::iota(result.begin(), result.end(), first);
  return result;
}

Conditions conditions_of(int64_t first, int64_t count) {
  return image_conditions(7, small_shape.classes, indices(first, count), 0).to(test_device());
}

Tensor images_of(const Generator& generator, const Conditions& conditions, TensorMap* found = nullptr) {
  return generate(generator, conditions, testing::small_preprocessing(), at::kFloat, found);
}

TEST(Conditions, ArePairsThatDifferInNoiseAlone) {
  const Conditions drawn = training_conditions(1, 1000, 0, 64, 5);
  const auto pairs = [](const Tensor& tensor) { return tensor.unflatten(0, {-1, 2}); };
  EXPECT_TRUE(at::equal(pairs(drawn.classes).select(1, 0), pairs(drawn.classes).select(1, 1)));
  EXPECT_TRUE(at::equal(pairs(drawn.centres).select(1, 0), pairs(drawn.centres).select(1, 1)));
  EXPECT_GT((pairs(drawn.noise).select(1, 0) - pairs(drawn.noise).select(1, 1)).abs().mean().item<double>(), 0.8);
  EXPECT_GT(std::get<0>(at::_unique(drawn.classes)).numel(), 28);
  EXPECT_GE(drawn.centres.min().item<double>(), 0.2);
  EXPECT_LE(drawn.centres.max().item<double>(), 0.8);
  EXPECT_NEAR(drawn.noise.std().item<double>(), 1.0, 0.05);
}

TEST(Conditions, AreThoseOfAnImageOfTheBatchWhoeverDrawsThem) {
  const Conditions whole = training_conditions(1, 10, 0, 8, 5), half = training_conditions(1, 10, 4, 4, 5);
  EXPECT_TRUE(at::equal(whole.noise.narrow(0, 4, 4), half.noise));
  EXPECT_TRUE(at::equal(whole.classes.narrow(0, 4, 4), half.classes));
  EXPECT_TRUE(at::equal(whole.centres.narrow(0, 4, 4), half.centres));
  EXPECT_FALSE(at::equal(half.noise, training_conditions(1, 10, 4, 4, 6).noise));
  EXPECT_FALSE(at::equal(half.noise, training_conditions(2, 10, 4, 4, 5).noise));
}

TEST(Conditions, OfFurtherPassesAreOtherImages) {
  const Conditions stored = image_conditions(1, 10, {3, 4}, 0), streamed = image_conditions(1, 10, {3, 4}, 1);
  EXPECT_FALSE(at::equal(stored.noise, streamed.noise));
  EXPECT_TRUE(at::equal(stored.noise[1], image_conditions(1, 10, {4}, 0).noise[0]));
}

TEST(Generator, MakesValidColoursOfEveryClass) {
  const Tensor images = images_of(small_generator(), conditions_of(0, 32)).cpu();
  ASSERT_EQ(images.sizes(), (std::vector<int64_t>{32, 3, 16, 16}));
  const PixelRange valid = valid_pixels(testing::small_preprocessing());
  EXPECT_TRUE(((images >= valid.lowest - 1e-5) & (images <= valid.highest + 1e-5)).all().item<bool>());
  EXPECT_GT(images.std().item<double>(), 0.3);
}

/// PyTorch's own normalisation, layer by layer.
TEST(Generator, IsGdfqsLayersWhileItTrains) {
  const Generator generator = small_generator();
  const Conditions conditions = conditions_of(0, 6);
  const auto weight = [&](const std::string& name) { return generator.parameters.at(name); };
  const auto norm = [&](const Tensor& maps, const std::string& name, double epsilon) {
    const Tensor plain = at::batch_norm(maps, {}, {}, {}, {}, /*training=*/true, 0.1, epsilon, false);
    const Tensor gain = at::embedding(weight(name + ".gain"), conditions.classes);
    const Tensor shift = at::embedding(weight(name + ".shift"), conditions.classes);
    return plain * gain.unsqueeze(-1).unsqueeze(-1) + shift.unsqueeze(-1).unsqueeze(-1);
  };
  const auto convolution = [&](const Tensor& maps, const std::string& name) {
    return at::conv2d(maps, weight(name + ".weight"), weight(name + ".bias"), 1, 1);
  };
  const auto twice = [](const Tensor& maps) { return maps.repeat_interleave(2, 2).repeat_interleave(2, 3); };
  const Tensor embedded = at::embedding(weight("embedding"), conditions.classes);
  const Tensor input = at::cat({conditions.noise, embedded, (conditions.centres - 0.5) * 4}, 1);
  Tensor maps = (at::matmul(input, weight("input.weight").t()) + weight("input.bias")).view({6, 128, 4, 4});
  maps = norm(maps, "norm0", 1e-5);
  maps = at::leaky_relu(norm(convolution(twice(maps), "convolution1"), "norm1", 0.8), 0.2);
  maps = at::leaky_relu(norm(convolution(twice(maps), "convolution2"), "norm2", 0.8), 0.2);
  maps = at::batch_norm(convolution(maps, "convolution3").tanh(), {}, {}, {}, {}, true, 0.1, 1e-5, false);
  const Preprocessing preprocessing = testing::small_preprocessing();
  const Tensor colours = (0.45 + 0.226 * maps).clamp(0, 1).cpu();
  const Tensor expected = (colours - preprocessing.mean_tensor()) / preprocessing.std_tensor();
  EXPECT_LT(largest_difference(images_of(generator, conditions), expected), 1e-3);
}

/// With the statistics of one batch kept, that batch is as it was; and then an image does not depend on its company.
TEST(Generator, OnceSettledMakesEachImageByItself) {
  Generator generator = small_generator();
  TensorMap found;
  const Tensor in_batch = images_of(generator, conditions_of(0, 8), &found);
  generator.statistics = found;
  ASSERT_EQ(generator.statistics.size(), generator_statistics(small_shape).size());
  for (const auto& [name, shape] : generator_statistics(small_shape))
    EXPECT_EQ(generator.statistics.at(name).sizes(), at::IntArrayRef(shape)) << name;
  const Tensor settled = images_of(generator, conditions_of(0, 8));
  EXPECT_LT(largest_difference(settled, in_batch), 1e-4);
  const Tensor parts = at::cat({images_of(generator, conditions_of(0, 3)), images_of(generator, conditions_of(3, 5))});
  EXPECT_LT(largest_difference(settled, parts), 1e-4);
}

TEST(Generator, RefusesSidesThatItCannotMake) {
  EXPECT_THROW(generator_parameters({.classes = 5, .channels = 3, .image_size = 30}), BadInput);
}

TEST(GeneratorFiles, GiveBackWhatWasWrittenAndRefuseOthers) {
  const std::filesystem::path folder = std::filesystem::path(::testing::TempDir()) / "generator_files";
  std::filesystem::create_directories(folder);
  const ShardOwner owner{.synthesis_id = "a", .facts = R"({"seed":1})", .job = "", .versions = "{}"};
  const ShardOwner other{.synthesis_id = "b", .facts = R"({"seed":2})", .job = "", .versions = "{}"};
  GeneratorState state = start_generator(small_shape, 3, at::kCPU);
  state.step = 12;
  state.moments.at("embedding").exp_avg.fill_(0.5);

  write_generator_state(folder / "state.h5", state, owner);
  const auto back = read_generator_state(folder / "state.h5", small_shape, owner);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->step, 12);
  EXPECT_EQ(back->moments.at("convolution1.weight").step, 12);
  EXPECT_TRUE(at::equal(back->moments.at("embedding").exp_avg, state.moments.at("embedding").exp_avg));
  EXPECT_EQ(generator_hash(back->generator), generator_hash(state.generator));
  EXPECT_FALSE(read_generator_state(folder / "state.h5", small_shape, other).has_value());
  EXPECT_FALSE(read_generator_state(folder / "none.h5", small_shape, owner).has_value());

  EXPECT_FALSE(read_generator(folder / "state.h5", small_shape, owner).has_value());  // it has no statistics
  TensorMap found;
  images_of(state.generator, image_conditions(7, 5, {0, 1}, 0), &found);
  state.generator.statistics = found;
  write_generator(folder / "generator.h5", state.generator, owner);
  const auto finished = read_generator(folder / "generator.h5", small_shape, owner);
  ASSERT_TRUE(finished.has_value());
  EXPECT_EQ(generator_hash(*finished), generator_hash(state.generator));
  EXPECT_THROW(read_generator(folder / "generator.h5", small_shape, other), BadInput);
}

}  // namespace
}  // namespace eidolon
