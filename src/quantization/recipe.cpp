#include "quantization/recipe.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"
#include "quantization/named_formats.h"

namespace eidolon {
namespace {

struct Recipe {
  std::string_view name;
  std::string_view weights;         ///< of the layers, as named_formats.h has them; "int4": by int4_scales
  std::string_view inputs;          ///< "int8", a format of hardware, or "" for float
  bool integer_ends;                ///< head and embedding have int8 weights; otherwise they stay float
  bool takes_out_channels = false;  ///< outliers of an input may stay float (quantization/float_channels.h)
};

constexpr std::array recipes{
    Recipe{.name = "int8", .weights = "integer", .inputs = "int8", .integer_ends = true, .takes_out_channels = true},
    Recipe{.name = "w4a8", .weights = "int4", .inputs = "int8", .integer_ends = true, .takes_out_channels = true},
    Recipe{.name = "w4a16", .weights = "int4", .inputs = "", .integer_ends = true},
    Recipe{.name = "fp8", .weights = "fp8_e4m3", .inputs = "fp8_e4m3", .integer_ends = false},
    Recipe{.name = "mxfp8", .weights = "mxfp8_e4m3", .inputs = "mxfp8_e4m3", .integer_ends = false},
    Recipe{.name = "mxfp4", .weights = "mxfp4", .inputs = "mxfp4", .integer_ends = false},
    Recipe{.name = "nvfp4", .weights = "nvfp4", .inputs = "nvfp4", .integer_ends = false},
};

const Recipe& recipe_named(const std::string& name) {
  for (const Recipe& recipe : recipes) {
    if (recipe.name == name) return recipe;
  }
  throw BadInput("quantization.recipe = \"" + name + "\" is not known; `eidolon keys --all` lists what is");
}

constexpr int64_t int8_bits = 8, int4_bits = 4;

QuantizerSpec int4_weights(const std::string& scales) {
  if (scales == "channel") return weight_spec("integer", int4_bits, /*symmetric=*/true);
  QuantizerSpec spec = weight_spec("integer_" + scales, int4_bits, /*symmetric=*/true);
  spec.scaling.stored = ScaleFormat::float16;
  return spec;
}

const Product* product_of(const Plan& plan, NodeId node) {
  for (const Product& product : plan.products) {
    if (product.input == node || product.weight == node) return &product;
  }
  return nullptr;
}

/// Bytes of an image are exact, and each colour has a normalisation of its own. So a runtime that is given bytes multiplies the
/// colours one by one, and each may have scales of its own.
QuantizerSpec embedding_weights(const Convolution& convolution) {
  QuantizerSpec spec = weight_spec("integer", int8_bits, /*symmetric=*/true);
  spec.scaling = per_block(1, convolution.kernel * convolution.kernel);
  return spec;
}

bool cuts_patches(const Product& product) {
  const auto& shape = product.convolution;
  return shape && shape->stride == shape->kernel && shape->padding == 0 && shape->padding_after == 0 && shape->groups == 1;
}

/// Four bits are multiplied in matrices: a convolution over windows, or of single channels, keeps eight.
bool is_matrix(const Product& product) {
  return !product.convolution || (product.convolution->kernel == 1 && product.convolution->groups == 1);
}

std::optional<QuantizerSpec> weights_of(const Recipe& recipe, const QuantizationJob& job, const Plan& plan,
                                        const Product& product) {
  const bool reads_image = plan.role(product.input) == Role::image;
  const bool is_head = plan.is_head(plan[product.weight].section);
  if (reads_image || is_head) {
    if (!recipe.integer_ends) return std::nullopt;
    if (reads_image && cuts_patches(product)) return embedding_weights(product.convolution.value());
    return weight_spec("integer", int8_bits, /*symmetric=*/true);
  }
  if (recipe.weights == "int4" && !is_matrix(product)) return weight_spec("integer", int8_bits, /*symmetric=*/true);
  if (recipe.weights == "int4") return int4_weights(job.int4_scales);
  return weight_spec(std::string(recipe.weights), int8_bits, /*symmetric=*/true);
}

std::optional<QuantizerSpec> input_of(const Recipe& recipe, const Plan& plan, NodeId node) {
  const bool of_head = plan.is_head(plan[node].section);
  if (recipe.inputs.empty() || (of_head && !recipe.integer_ends)) return std::nullopt;
  if (recipe.inputs == "int8") return QuantizerSpec{.bits = int8_bits};
  return hardware_activation(std::string(recipe.inputs), Role::input);
}

}  // namespace

std::optional<QuantizerSpec> recipe_spec(const QuantizationJob& job, const Plan& plan, NodeId node) {
  const Recipe& recipe = recipe_named(job.recipe);
  const Product* product = product_of(plan, node);
  if (product == nullptr || plan.role(node) == Role::image) return std::nullopt;
  return plan.is_weight(node) ? weights_of(recipe, job, plan, *product) : input_of(recipe, plan, node);
}

bool misses_int4(const QuantizationJob& job, const Plan& plan) {
  if (job.recipe == "research" || recipe_named(job.recipe).weights != "int4") return false;
  return std::ranges::none_of(plan.products, [&](const Product& product) {
    const std::optional<QuantizerSpec> weights = recipe_spec(job, plan, product.weight);
    return weights && weights->bits == int4_bits;
  });
}

int64_t most_float_channels(const QuantizationJob& job) {
  return job.recipe != "research" && recipe_named(job.recipe).takes_out_channels ? job.float_channels : 0;
}

}  // namespace eidolon
