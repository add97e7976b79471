#include "synthesis/generator_loss.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "base/error.h"
#include "synthesis/attention_reading.h"
#include "synthesis/output_statistics.h"
#include "synthesis/terms/batch_statistics.h"
#include "synthesis/terms/semantic.h"
#include "synthesis/terms/total_variation.h"

namespace eidolon {
namespace {

constexpr double smallest_share = 1e-3;  ///< of a layer's largest deviation, as in terms/batch_statistics
constexpr double norm_epsilon = 1e-5;    ///< of the variance, as BatchNorm has it
constexpr double smallest_distance = 1e-5;

struct Kept {
  Tensor mean, deviation;  ///< 1 x channels x 1 x 1, float32
};

std::map<NodeId, Kept> kept_by_output(const Network& network) {
  std::map<NodeId, Kept> kept;
  for (const Product& product : network.plan->products) {
    if (product.statistics.empty()) continue;
    const Tensor both = network[product.statistics].to(at::kFloat);
    kept[product.output] = {.mean = both[0].view({1, -1, 1, 1}), .deviation = both[1].view({1, -1, 1, 1})};
  }
  return kept;
}

/// What one pass over the images shows.
struct Look {
  Tensor logits;
  Tensor features;                ///< what the head multiplies
  std::vector<Tensor> attention;  ///< of every layer of maps, B x P
  std::vector<Tensor> statistics;
};

enum class Mode { evaluation, batch };

Look look_at(const SynthesisTeacher& teacher, const Tensor& pixels, Mode mode, bool reads_statistics) {
  Look look;
  std::vector<AttentionReading> readings;
  const NodeId head = teacher.plan().products.back().input;
  const Tap maps = reading_tap(teacher.model, {.output = true}, pixels.size(0), readings);
  Tap tap = [&look, &maps, head](NodeId node, const Tensor& tensor) {
    if (node == head) look.features = tensor;
    return maps(node, tensor);
  };
  if (reads_statistics) tap = statistics_tap(teacher.plan(), pixels.size(0), look.statistics, tap);
  if (mode == Mode::batch) tap = batch_mode_tap(teacher.model, tap);
  look.logits = forward(teacher.model, pixels.to(teacher.precision()), tap);
  for (const AttentionReading& reading : readings) look.attention.push_back(attention_of_maps(reading.output.squeeze(2)));
  return look;
}

std::vector<Tensor> kept_statistics(const SynthesisTeacher& teacher) {
  std::vector<Tensor> kept;
  for (const Product& product : teacher.plan().products) {
    if (!product.statistics.empty()) kept.push_back(teacher.model[product.statistics]);
  }
  return kept;
}

struct Weight {
  std::string_view term;
  double weight;
};

std::array<Weight, 6> weights_of(const SynthesisJob& job) {
  const GeneratorJob& generator = job.generator;
  return {{{"class", generator.class_weight},
           {"statistics", job.batchnorm_weight},
           {"centre", generator.centre_weight},
           {"pairs", generator.pair_weight},
           {"consistency", generator.consistency_weight},
           {"variation", job.variation_weight}}};
}

Tensor unit_length(const Tensor& rows) {
  return rows / at::linalg_vector_norm(rows, 2, at::IntArrayRef{-1}, /*keepdim=*/true);
}

}  // namespace

Tap batch_mode_tap(const Network& network, Tap inner) {
  return [kept = kept_by_output(network), inner = std::move(inner)](NodeId node, const Tensor& tensor) {
    Tensor shown = seen(inner, node, tensor);
    const auto found = kept.find(node);
    if (found == kept.end()) return shown;
    const auto& [mean, deviation] = found->second;
    const Tensor maps = shown.to(at::kFloat), offset = maps - maps.mean({0, 2, 3}, /*keepdim=*/true);
    const Tensor variance = offset.square().mean({0, 2, 3}, /*keepdim=*/true);
    const Tensor least = norm_epsilon * at::maximum(deviation, deviation.max() * smallest_share).square();
    return (offset * (variance + least).rsqrt() * deviation + mean).to(tensor.scalar_type());
  };
}

Tensor attention_of_maps(const Tensor& maps) {
  const Tensor squares = maps.to(at::kFloat).square().sum(-1);
  return squares / squares.sum(1, /*keepdim=*/true).clamp_min(smallest_distance);
}

Tensor attention_centre(const Tensor& attention) {
  const auto side = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(attention.size(1)))));
  const Tensor square = attention.view({-1, side, side});
  const Tensor places = (at::arange(side, attention.options().requires_grad(false)) + 0.5) / static_cast<double>(side);
  return at::stack({(square.sum(2) * places).sum(1), (square.sum(1) * places).sum(1)}, 1);
}

Tensor pair_loss(const Tensor& features, const Tensor& noise) {
  const auto difference = [](const Tensor& rows) {
    const Tensor pairs = rows.unflatten(0, {-1, 2});
    return (pairs.select(1, 0) - pairs.select(1, 1)).abs().mean(1);
  };
  const Tensor values = features.to(at::kFloat).flatten(1);
  const Tensor magnitude = values.abs().unflatten(0, {-1, 2}).mean(at::IntArrayRef{1, 2});
  const Tensor apart = difference(values) / (magnitude + smallest_distance);
  const Tensor of_pair = -(apart / (difference(noise) + smallest_distance)).clamp_max(1.0);
  return of_pair.repeat_interleave(2);
}

Tensor consistency_loss(const std::vector<Tensor>& batch_mode, const std::vector<Tensor>& evaluation_mode) {
  Tensor sum;
  for (size_t layer = 0; layer < batch_mode.size(); ++layer) {
    const Tensor distance = (unit_length(batch_mode[layer]) - unit_length(evaluation_mode[layer])).square().sum(1);
    sum = sum.defined() ? sum + distance : distance;
  }
  return sum / static_cast<double>(batch_mode.size());
}

std::vector<std::string_view> generator_terms(const SynthesisJob& job) {
  std::vector<std::string_view> names;
  for (const auto& [name, weight] : weights_of(job)) {
    if (weight > 0) names.push_back(name);
  }
  return names;
}

std::vector<TermLoss> generator_losses(const SynthesisTeacher& teacher, const SynthesisJob& job, const Conditions& conditions,
                                       const Tensor& pixels) {
  const Look look = look_at(teacher, pixels, Mode::evaluation, job.batchnorm_weight > 0);
  const auto value_of = [&](std::string_view name) -> Tensor {
    if (name == "class") {
      const Tensor targets = at::one_hot(conditions.classes, teacher.plan().output.size).to(at::kFloat);
      return soft_cross_entropy(look.logits, targets);
    }
    if (name == "statistics") return statistics_loss(look.statistics, kept_statistics(teacher)).expand({pixels.size(0)});
    if (name == "centre") return (attention_centre(look.attention.back()) - conditions.centres).square().sum(1);
    if (name == "pairs") return pair_loss(look.features, conditions.noise);
    if (name == "variation") {
      const Tensor targets = draw_variation_targets(job.seed, teacher.preprocessing, {0, pixels.size(0)});
      return total_variation_loss(pixels, targets.to(pixels.device())) / variation_scale(teacher.preprocessing);
    }
    return consistency_loss(look_at(teacher, pixels, Mode::batch, false).attention, look.attention);
  };
  std::vector<TermLoss> losses;
  for (const auto& [name, weight] : weights_of(job)) {
    if (weight > 0) losses.push_back({name, weight, value_of(name)});
  }
  return losses;
}

GeneratorShape generator_shape(const Plan& plan, const SynthesisJob& job) {
  const std::string method = "synthesis.method = \"generator\" ";
  const GeneratorJob& weights = job.generator;
  if (generator_terms(job).empty())
    throw BadInput(method + "has no term with a weight in this job; set synthesis.generator.class_weight");
  if (plan.output.kind != Output::Kind::classes || !plan.is_head(plan.section_count() - 1))
    throw BadInput(method + "makes images of classes, and the teacher gives features; choose another method");
  if (!plan.attention.empty())
    throw BadInput(method + "is for convolutional networks, and the teacher has attention; choose another method");
  const bool normalised =
      std::ranges::any_of(plan.products, [](const Product& product) { return !product.statistics.empty(); });
  if (!normalised && (job.batchnorm_weight > 0 || weights.consistency_weight > 0)) {
    throw BadInput(method + "trains on the statistics of BatchNorm, and the teacher has none; set synthesis.batchnorm_weight " +
                   "and synthesis.generator.consistency_weight to 0, or choose another method");
  }
  if (map_nodes(plan).empty() && (weights.centre_weight > 0 || weights.consistency_weight > 0)) {
    throw BadInput(method +
                   "looks at maps of 9 to 400 places, and the teacher has none; set synthesis.generator.centre_weight " +
                   "and consistency_weight to 0, or choose another method");
  }
  const GeneratorShape shape{.classes = plan.output.size,
                             .channels = plan.channels,
                             .image_size = plan.image_size,
                             .placed = weights.centre_weight > 0};
  generator_parameters(shape);  // refuses sides that it cannot make
  return shape;
}

}  // namespace eidolon
