#include "synthesis/generator.h"

#include <cmath>
#include <map>
#include <string>

#include "base/error.h"
#include "numerics/random.h"
#include "synthesis/start.h"

namespace eidolon {
namespace {

// GDFQ's sizes. Images begin at a quarter of their side and are enlarged twice.
constexpr int64_t noise_size = 100, embedding_size = 100, wide = 128, narrow = 64, enlargement = 4;
constexpr double leak = 0.2, outer_epsilon = 1e-5;
constexpr double inner_epsilon = 0.8;                           ///< of the two inner norms, as in GDFQ's code
constexpr double nearest_edge = 0.2;                            ///< of a centre
constexpr double place_gain = 4;                                ///< brings centres to about the deviation of the noise
constexpr double mean_colour = 0.45, colour_deviation = 0.226;  ///< of photographs, in [0, 1]

Tensor enlarged(const Tensor& maps) {
  return at::upsample_nearest2d(maps, {maps.size(2) * 2, maps.size(3) * 2});
}

/// One forward pass.
struct Pass {
  const Generator& generator;
  const Conditions& conditions;
  at::ScalarType precision;
  TensorMap* found;

  const Tensor& operator[](const std::string& name) const { return generator.parameters.at(name); }

  Tensor convolved(const Tensor& maps, const std::string& name) const {
    return at::conv2d(maps.to(precision), (*this)[name + ".weight"].to(precision), (*this)[name + ".bias"].to(precision), 1, 1)
        .to(at::kFloat);
  }

  /// Without gain and shift.
  Tensor standardised(const Tensor& maps, const std::string& name, double epsilon) const {
    Tensor mean, variance;
    if (generator.statistics.empty()) {
      mean = maps.mean({0, 2, 3}, /*keepdim=*/true);
      variance = (maps - mean).square().mean({0, 2, 3}, /*keepdim=*/true);
    } else {
      const Tensor& kept = generator.statistics.at(name);
      mean = kept[0].view({1, -1, 1, 1});
      variance = kept[1].view({1, -1, 1, 1});
    }
    if (found != nullptr) (*found)[name] = at::stack({mean.detach().flatten(), variance.detach().flatten()});
    return (maps - mean) * (variance + epsilon).rsqrt();
  }

  /// Gain and shift are those of the image's class.
  Tensor normalised(const Tensor& maps, const std::string& name, double epsilon) const {
    const auto of_class = [&](const std::string& what) {
      return (*this)[name + what].index_select(0, conditions.classes).unflatten(1, {-1, 1, 1});
    };
    return standardised(maps, name, epsilon) * of_class(".gain") + of_class(".shift");
  }
};

double fan_in_of(const std::vector<int64_t>& shape) {
  double inputs = 1;
  for (size_t axis = 1; axis < shape.size(); ++axis) inputs *= static_cast<double>(shape[axis]);
  return inputs;
}

/// Of a linear layer or a convolution U(-1/sqrt(n), 1/sqrt(n)) for n inputs, as PyTorch has it; biases begin at 0.
Tensor initial_parameter(const std::string& name, const std::vector<int64_t>& shape, RandomStream random) {
  if (name.ends_with(".gain")) return at::ones(shape);
  if (name.ends_with(".shift") || name.ends_with(".bias")) return at::zeros(shape);
  const Tensor normals = random.normals(shape);
  return name == "embedding" ? normals : normals / std::sqrt(3 * fan_in_of(shape));
}

/// Noise, class and centre of one image from its own streams.
Conditions drawn(const std::vector<RandomStream>& noises, const std::vector<RandomStream>& sources, int64_t classes) {
  const auto count = static_cast<int64_t>(noises.size());
  Conditions conditions{
      .noise = at::empty({count, noise_size}), .classes = at::empty({count}, at::kLong), .centres = at::empty({count, 2})};
  for (int64_t i = 0; i < count; ++i) {
    RandomStream noise = noises[static_cast<size_t>(i)], source = sources[static_cast<size_t>(i)];
    conditions.noise[i].copy_(noise.normals({noise_size}));
    conditions.classes[i] = source.below(classes);
    for (const int64_t axis : {0, 1}) conditions.centres[i][axis] = source.uniform(nearest_edge, 1 - nearest_edge);
  }
  return conditions;
}

}  // namespace

Conditions Conditions::to(at::Device device) const {
  const bool later = !device.is_cpu();
  return {noise.to(device, later), classes.to(device, later), centres.to(device, later)};
}

Conditions training_conditions(uint64_t seed, int64_t classes, int64_t first, int64_t count, int64_t step) {
  std::vector<RandomStream> noises, pairs;
  for (int64_t image = first; image < first + count; ++image) {
    noises.emplace_back(seed, Purpose::generator_noise, image, step);
    pairs.emplace_back(seed, Purpose::generator_pairs, image / 2, step);
  }
  return drawn(noises, pairs, classes);
}

Conditions image_conditions(uint64_t seed, int64_t classes, const std::vector<int64_t>& images, int64_t pass) {
  std::vector<RandomStream> noises, sources;
  for (const int64_t image : images) {
    noises.emplace_back(seed, Purpose::generated_noise, image, pass);
    sources.emplace_back(seed, Purpose::generated_images, image, pass);
  }
  return drawn(noises, sources, classes);
}

std::map<std::string, std::vector<int64_t>> generator_parameters(const GeneratorShape& shape) {
  if (shape.image_size % enlargement != 0) {
    throw BadInput("synthesis.method = \"generator\" makes images whose side is a multiple of 4, and the teacher's is " +
                   std::to_string(shape.image_size) + "; set teacher.image_size, or choose another method");
  }
  const int64_t side = shape.image_size / enlargement, classes = shape.classes;
  return {{"embedding", {classes, embedding_size}},
          {"input.weight", {wide * side * side, noise_size + embedding_size + (shape.placed ? 2 : 0)}},
          {"input.bias", {wide * side * side}},
          {"norm0.gain", {classes, wide}},
          {"norm0.shift", {classes, wide}},
          {"convolution1.weight", {wide, wide, 3, 3}},
          {"convolution1.bias", {wide}},
          {"norm1.gain", {classes, wide}},
          {"norm1.shift", {classes, wide}},
          {"convolution2.weight", {narrow, wide, 3, 3}},
          {"convolution2.bias", {narrow}},
          {"norm2.gain", {classes, narrow}},
          {"norm2.shift", {classes, narrow}},
          {"convolution3.weight", {shape.channels, narrow, 3, 3}},
          {"convolution3.bias", {shape.channels}}};
}

std::map<std::string, std::vector<int64_t>> generator_statistics(const GeneratorShape& shape) {
  return {{"norm0", {2, wide}}, {"norm1", {2, wide}}, {"norm2", {2, narrow}}, {"norm3", {2, shape.channels}}};
}

Generator initial_generator(const GeneratorShape& shape, uint64_t seed) {
  Generator generator{.shape = shape, .parameters = {}};
  int64_t index = 0;
  for (const auto& [name, sizes] : generator_parameters(shape))
    generator.parameters[name] = initial_parameter(name, sizes, RandomStream(seed, Purpose::generator_start, index++));
  return generator;
}

Tensor generate(const Generator& generator, const Conditions& conditions, const Preprocessing& preprocessing,
                at::ScalarType precision, TensorMap* found) {
  const Pass pass{.generator = generator, .conditions = conditions, .precision = precision, .found = found};
  const int64_t side = generator.shape.image_size / enlargement;
  std::vector<Tensor> inputs{conditions.noise, pass["embedding"].index_select(0, conditions.classes)};
  if (generator.shape.placed) inputs.push_back((conditions.centres - 0.5) * place_gain);
  const Tensor rows =
      at::linear(at::cat(inputs, 1).to(precision), pass["input.weight"].to(precision), pass["input.bias"].to(precision));

  Tensor maps = rows.to(at::kFloat).view({-1, wide, side, side});
  maps = pass.normalised(maps, "norm0", outer_epsilon);
  maps = pass.normalised(pass.convolved(enlarged(maps), "convolution1"), "norm1", inner_epsilon);
  maps = at::leaky_relu(maps, leak);
  maps = pass.normalised(pass.convolved(enlarged(maps), "convolution2"), "norm2", inner_epsilon);
  maps = at::leaky_relu(maps, leak);
  const Tensor standard = pass.standardised(pass.convolved(maps, "convolution3").tanh(), "norm3", outer_epsilon);

  // GDFQ gives these values to the teacher as they are, normalised like photographs and without bounds. A stored image has
  // bounds, so they are brought to the colours of photographs and cut off where no byte holds them.
  const Tensor colours = (mean_colour + colour_deviation * standard).clamp(0.0, 1.0);
  const at::TensorOptions options = colours.options().requires_grad(false);
  return (colours - preprocessing.mean_tensor(options)) / preprocessing.std_tensor(options);
}

}  // namespace eidolon
