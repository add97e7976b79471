// Every key of a job: where it stands in TOML, what it may hold, what it decides, and one line of help.
//
// The reader, --set, to_toml(), describe_keys() and the identities all walk this list and nothing else, so a key added here
// (and to job.h) is known everywhere. A visitor is called as visit(const Key&, field) with a reference to the field, whose
// type is bool, int64_t, uint64_t, double, std::string, std::filesystem::path or a std::optional of these ("auto").
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/device_kinds.h"
#include "job/job.h"
#include "job/number_formats.h"

namespace eidolon {

/// Which artefacts must be made again when the key changes.
enum class Decides { nothing, images, student };

/// What a key accepts: numbers from low to high (both included), strings among choices (any, if empty), mixtures of choices
/// (job/mixture.h), or lists of them.
struct Allowed {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  std::vector<std::string_view> choices;
  bool mixture = false;
  bool list = false;  ///< choices between commas, or an array of them; empty: none
};

struct Key {
  std::string_view section;  ///< "synthesis"; of a group, which is a nested table: "synthesis.sardfq"
  std::string_view name;
  Decides decides;
  Allowed allowed;
  std::string_view help;
};

inline Allowed anything() {
  return {};
}
inline Allowed at_least(double low) {
  return {low, std::numeric_limits<double>::infinity(), {}};
}
inline Allowed between(double low, double high) {
  return {low, high, {}};
}
inline Allowed one_of(std::vector<std::string_view> choices) {
  Allowed allowed;
  allowed.choices = std::move(choices);
  return allowed;
}
inline Allowed list_of(std::vector<std::string_view> choices) {
  Allowed allowed = one_of(std::move(choices));
  allowed.list = true;
  return allowed;
}
inline Allowed mixture_of(std::vector<std::string_view> choices) {
  Allowed allowed = one_of(std::move(choices));
  allowed.mixture = true;
  return allowed;
}

template <class Field>
inline constexpr bool can_be_auto = false;
template <class Value>
inline constexpr bool can_be_auto<std::optional<Value>> = true;

/// "synthesis.images"
inline std::string full_name(const Key& key) {
  return std::string(key.section) + "." + std::string(key.name);
}

// Upper limits that no sensible job meets; they keep products and file names within their types.
inline constexpr double many = 99'999'999;  // image indices have eight digits in file names
inline constexpr double large = 1e9;

template <class AnyJob, class Visitor>
void visit_teacher_keys(AnyJob& job, Visitor&& visit) {
  visit(Key{"teacher", "weights", Decides::nothing, anything(), "folder with model.safetensors and config.json"},
        job.teacher.weights);
  visit(Key{"teacher", "image_size", Decides::nothing, between(0, 4096),
            "side of the images; positions are resampled; 0: the model's own"},
        job.teacher.image_size);
  visit(Key{"teacher", "output", Decides::nothing, one_of({"", "pooled", "tokens", "both", "stages"}),
            "what a teacher gives besides classes: one vector, tokens, or maps; empty: its own"},
        job.teacher.output);
  visit(Key{"teacher", "class_embeddings", Decides::nothing, anything(),
            "safetensors file with the embeddings of class names, which make a classifier of an encoder that knows texts"},
        job.teacher.class_embeddings);
  auto& architecture = job.teacher.architecture;
  const auto key = [](std::string_view name, Allowed allowed, std::string_view help) {
    return Key{"teacher.architecture", name, Decides::nothing, std::move(allowed), help};
  };
  visit(key("heads", between(0, 4096), "of every block, where config.json is silent or wrong; 0: as it says"),
        architecture.heads);
  visit(key("activation", one_of({"", "gelu", "gelu_tanh", "quick_gelu", "silu", "relu"}),
            "of the MLPs; empty: as config.json says"),
        architecture.activation);
  visit(key("epsilon", between(0, 1), "of the norms; 0: as config.json says"), architecture.epsilon);
  visit(key("pooling", one_of({"", "token", "avg", "map", "none"}), "of the tokens; empty: as config.json says"),
        architecture.pooling);
}

template <class AnyJob, class Visitor>
void visit_synthesis_keys(AnyJob& job, Visitor&& visit) {
  auto& synthesis = job.synthesis;
  const auto key = [](std::string_view name, Allowed allowed, std::string_view help, Decides decides = Decides::images) {
    return Key{"synthesis", name, decides, std::move(allowed), help};
  };
  visit(key("method", one_of({"views", "sardfq", "psaq", "psaq_v2", "generator", "gaussian", "given"}),
            "how images are made; gaussian: noise; given: run.shards has them"),
        synthesis.method);
  visit(key("start", mixture_of({"gaussian", "pink", "leaves", "scenes", "textures"}), "what the pixels start from"),
        synthesis.start);
  visit(key("enlargement", between(1, 64), "the images look enlarged, each by a factor from 1 to this; 1: none"),
        synthesis.enlargement);
  visit(key("images", between(1, many), "images to train on; raising it only adds units", Decides::student), synthesis.images);
  visit(key("held_out_images", between(0, many), "further images, never trained on: whole units in the mixture of the others",
            Decides::student),
        synthesis.held_out_images);
  visit(key("unit_images", between(1, 4096), "consecutive images optimised together, one shard"), synthesis.unit_images);
  visit(key("optimised_share", between(0, 1), "share of the units that are optimised; the others stay as they start"),
        synthesis.optimised_share);
  visit(key("iterations", between(0, large), "optimisation steps of a unit, or of the generator; 0: the start is the image"),
        synthesis.iterations);
  visit(key("seed", at_least(0), "of every random draw of the images"), synthesis.seed);
  visit(key("precision", one_of({"fp32", "bf16"}), "of the teacher's forward and backward pass"), synthesis.precision);
  visit(key("learning_rate", between(0, large), "of Adam, in ImageNet-normalised pixels; of a generator, in its weights"),
        synthesis.learning_rate);
  visit(key("variation_weight", between(0, large), "of the total-variation term, per image"), synthesis.variation_weight);
  visit(key("batchnorm_weight", between(0, large),
            "of the distance to BatchNorm's statistics; 0 counts as 1 where views has neither classes nor attention to go by"),
        synthesis.batchnorm_weight);
}

template <class AnyJob, class Visitor>
void visit_synthesis_group_keys(AnyJob& job, Visitor&& visit) {
  auto& views = job.synthesis.views;
  auto& sardfq = job.synthesis.sardfq;
  auto& psaq = job.synthesis.psaq;
  auto& psaq_v2 = job.synthesis.psaq_v2;
  const auto key = [](std::string_view group, std::string_view name, Allowed allowed, std::string_view help) {
    return Key{group, name, Decides::images, std::move(allowed), help};
  };
  visit(key("synthesis.views", "smallest_side", between(0.05, 1),
            "of the random windows that the teacher sees, as a share of the image's side; 1: whole images"),
        views.smallest_side);
  visit(key("synthesis.views", "colour", between(0, 2), "random change of contrast and brightness of what it sees; 0: none"),
        views.colour);
  visit(key("synthesis.sardfq", "prior_weight", between(0, large),
            "of the attention prior term; 0: none; auto: its gradient is as large as the semantic one's at the start"),
        sardfq.prior_weight);
  visit(key("synthesis.sardfq", "crops", between(0, 4), "crops per image with a class of their own, at most; 0: none"),
        sardfq.crops);
  visit(key("synthesis.sardfq", "soft_labels", anything(), "false: equal shares of the classes that are shown"),
        sardfq.soft_labels);
  visit(key("synthesis.psaq", "entropy_weight", between(0, large), "of the entropy of patch similarities, summed over blocks"),
        psaq.entropy_weight);
  visit(key("synthesis.psaq", "entropy_form", one_of({"kernel", "gaussian"}), "its density: of kernels, or taken for normal"),
        psaq.entropy_form);
  visit(key("synthesis.psaq", "head_similarity_weight", between(0, large), "of the likeness of the heads' attention (MimiQ)"),
        psaq.head_similarity_weight);
  visit(key("synthesis.psaq_v2", "cycles", between(0, 99),
            "images set against the student of the cycle before, and a student trained on them; 0: none"),
        psaq_v2.cycles);
  visit(key("synthesis.psaq_v2", "iterations", between(1, large), "optimisation steps of a unit in each cycle"),
        psaq_v2.iterations);
  visit(key("synthesis.psaq_v2", "disagreement_weight", between(0, large), "of the distance of teacher and student"),
        psaq_v2.disagreement_weight);
  visit(key("synthesis.psaq_v2", "adaptive", anything(), "the distance counts in units of what is left to learn"),
        psaq_v2.adaptive);
  auto& generator = job.synthesis.generator;
  visit(key("synthesis.generator", "batch", between(2, 65536),
            "images of a training step over all ranks, in whole groups of synthesis.unit_images"),
        generator.batch);
  visit(key("synthesis.generator", "class_weight", between(0, large), "of the cross entropy with the image's class"),
        generator.class_weight);
  visit(key("synthesis.generator", "centre_weight", between(0, large),
            "of the distance of attention's centre from the place it was given (ACQ); 0: no place is given"),
        generator.centre_weight);
  visit(key("synthesis.generator", "pair_weight", between(0, large),
            "of how much two images of one class and place differ (ACQ)"),
        generator.pair_weight);
  visit(key("synthesis.generator", "consistency_weight", between(0, large),
            "of the likeness of attention under BatchNorm's batch and kept statistics (ACQ)"),
        generator.consistency_weight);
}

template <class AnyJob, class Visitor>
void visit_quantization_keys(AnyJob& job, Visitor&& visit) {
  auto& quantization = job.quantization;
  const auto key = [](std::string_view name, Allowed allowed, std::string_view help) {
    return Key{"quantization", name, Decides::student, std::move(allowed), help};
  };
  visit(key("recipe", one_of({"research", "int8", "w4a8", "w4a16", "fp8", "mxfp8", "mxfp4", "nvfp4"}),
            "the arithmetic that the student is made for; research: formats by the keys below"),
        quantization.recipe);
  visit(key("int4_scales", one_of({"block32", "block64", "block128", "channel"}),
            "what shares a scale of 4-bit weights; channel: for NPUs"),
        quantization.int4_scales);
  visit(key("float_channels", between(0, 8), "input channels of a layer with outliers that stay float, at most; 0: none"),
        quantization.float_channels);
  visit(key("weight_bits", between(2, 8), "bits per weight"), quantization.weight_bits);
  visit(key("activation_bits", between(2, 8), "bits per activation"), quantization.activation_bits);
  visit(key("weight_symmetric", anything(), "weights without a zero point"), quantization.weight_symmetric);
  visit(key("attention", one_of(with_hardware_formats({"companded", "uniform", "log2", "log_sqrt2"})),
            "of the attention probabilities"),
        quantization.attention);
  visit(key("attention_granularity", one_of({"row", "tensor"}), "row: probabilities in units of the largest of their row"),
        quantization.attention_granularity);
  visit(
      key("weight_format", one_of(with_hardware_formats({"integer", "integer_block32", "integer_block64", "integer_block128"})),
          "number format of the weights; integer: a scale per output channel, block: per so many inputs"),
      quantization.weight_format);
  visit(key("activation_format", one_of(with_hardware_formats({"companded", "uniform"})),
            "of the activations; companded: where tails are heavy (q, k, v, inputs without a norm in front)"),
        quantization.activation_format);
  visit(key("reparameterize", anything(),
            "fold scales per channel into LayerNorm (RepQ), or into the convolution in front of a depthwise one"),
        quantization.reparameterize);
  visit(key("rotate_heads", anything(), "fold a rotation into q, k, v and proj that spreads outliers over each head"),
        quantization.rotate_heads);
  visit(key("bits_for", anything(), "other bits for some nodes: \"blocks.0.*: 8, head.*: float\""), quantization.bits_for);
  visit(key("ranges", one_of({"search", "min_max"}), "of every quantizer: of least squared error, or all that was seen"),
        quantization.ranges);
  visit(key("calibration_images", between(1, many), "first images seen by calibration; at most synthesis.images are used"),
        quantization.calibration_images);
  visit(key("correction", one_of({"none", "bias", "rounding", "low_rank", "ridge"}),
            "closed-form fit of each linear layer to its own unrounded output"),
        quantization.correction);
  const auto of_low_rank = [](std::string_view name, Allowed allowed, std::string_view help) {
    return Key{"quantization.low_rank", name, Decides::student, std::move(allowed), help};
  };
  auto& low_rank = quantization.low_rank;
  visit(of_low_rank("rank", between(1, 1024), "of the float product beside each layer's rounded weights, at most"),
        low_rank.rank);
  visit(of_low_rank("share", between(0.01, 1), "of the sum of singular values that it keeps; 1: the whole rank"),
        low_rank.share);
  visit(of_low_rank("smoothed_channels", between(0, 1024), "input channels of a layer whose weights it carries alone"),
        low_rank.smoothed_channels);
  visit(of_low_rank("precision", one_of({"float16", "int8"}), "of its two factors"), low_rank.precision);
  visit(of_low_rank("rounding", one_of({"nearest", "compensated"}), "of the other weights"), low_rank.rounding);
}

template <class AnyJob, class Visitor>
void visit_finetuning_keys(AnyJob& job, Visitor&& visit) {
  auto& finetuning = job.finetuning;
  const auto key = [](std::string_view name, Allowed allowed, std::string_view help) {
    return Key{"finetuning", name, Decides::student, std::move(allowed), help};
  };
  visit(key("method", one_of({"blockwise", "distill", "none"}), "reconstruct block by block, distil end to end, or neither"),
        finetuning.method);
  visit(key("batch", between(1, 65536), "global batch over all ranks"), finetuning.batch);
  visit(key("iterations", between(0, large), "steps per section (blockwise) or in all (distill)"), finetuning.iterations);
  visit(key("learning_rate", between(0, large), "of the weights, in steps of each channel's quantizer"),
        finetuning.learning_rate);
  visit(key("learning_rate_multiplier", between(1e-3, 1e3),
            "blockwise: of the first quarter of the sections, falling to 1 at the middle"),
        finetuning.learning_rate_multiplier);
  visit(key("input_mix", between(0, 1), "QDrop, blockwise: share of a block's input that is the teacher's"),
        finetuning.input_mix);
  visit(key("rounding", one_of({"straight_through", "adaround"}), "how blockwise trains weights"), finetuning.rounding);
  visit(key("importance", one_of({"none", "gradient"}), "weights of the blockwise error, by the teacher's logits"),
        finetuning.importance);
  visit(key("token_units", anything(), "a token's error is relative to its deviation over channels, as a LayerNorm sees it"),
        finetuning.token_units);
  visit(key("train_low_rank", anything(), "the float products of quantization.low_rank too, with the weights"),
        finetuning.train_low_rank);
  visit(key("precision", one_of({"fp32", "tf32", "bf16"}), "of the products of float32 matrices in a step of training"),
        finetuning.precision);
  visit(key("seed", at_least(0), "of the order of the images and of what is dropped"), finetuning.seed);
}

template <class AnyJob, class Visitor>
void visit_finetuning_group_keys(AnyJob& job, Visitor&& visit) {
  auto& scales = job.finetuning.scales;
  auto& distill = job.finetuning.distill;
  const auto key = [](std::string_view group, std::string_view name, Allowed allowed, std::string_view help) {
    return Key{group, name, Decides::student, std::move(allowed), help};
  };
  visit(key("finetuning.scales", "activation_learning_rate", between(0, large),
            "of the activation scales, relative to each; 0 freezes them"),
        scales.activation_learning_rate);
  visit(key("finetuning.scales", "weight_learning_rate", between(0, large),
            "of the weight scales, relative to each; 0 freezes them"),
        scales.weight_learning_rate);
  visit(key("finetuning.adaround", "learning_rate", between(0, large), "of AdaRound's variables"),
        job.finetuning.adaround.learning_rate);
  visit(key("finetuning.distill", "iterations", between(0, large), "end-to-end steps after the blocks"), distill.iterations);
  visit(key("finetuning.distill", "learning_rate", between(0, large), "of these, as finetuning.learning_rate"),
        distill.learning_rate);
  visit(key("finetuning.distill", "optimizer", one_of({"adam", "sgd"}),
            "of the end-to-end steps; sgd: with Nesterov's momentum, all at the learning rate as it stands"),
        distill.optimizer);
  visit(key("finetuning.distill", "distance", one_of({"kl", "mae"}), "of the outputs: divergence, or mean absolute error"),
        distill.distance);
  visit(key("finetuning.distill", "temperature", between(0.1, 100), "of the softmax in the divergence of classes"),
        distill.temperature);
  visit(key("finetuning.distill", "feature_weight", between(0, large), "of the block outputs' error, beside the logits' KL"),
        distill.feature_weight);
  visit(key("finetuning.distill", "images", mixture_of({"stored", "generator", "pink", "leaves", "scenes", "textures"}),
            "what these steps see; stored: the shards' images, shifted and mirrored; others: made anew at every step"),
        distill.images);
}

template <class AnyJob, class Visitor>
void visit_evaluation_keys(AnyJob& job, Visitor&& visit) {
  auto& evaluation = job.evaluation;
  const auto key = [](std::string_view name, Allowed allowed, std::string_view help) {
    return Key{"evaluation", name, Decides::nothing, std::move(allowed), help};
  };
  visit(key("images", anything(), "folder of labelled images; empty: figures on held-out synthetic images"), evaluation.images);
  visit(key("classes", anything(), "one class folder per line; empty: folder names are the indices"), evaluation.classes);
  visit(key("batch", between(1, 65536), "images per forward pass of one rank"), evaluation.batch);
}

template <class AnyJob, class Visitor>
void visit_run_keys(AnyJob& job, Visitor&& visit) {
  auto& run = job.run;
  const auto key = [](std::string_view name, Allowed allowed, std::string_view help) {
    return Key{"run", name, Decides::nothing, std::move(allowed), help};
  };
  visit(key("shards", anything(), "folder of image shards to use; empty: the run directory's own"), run.shards);
  visit(key("device", one_of(device_kinds()), "auto: cuda where there is one"), run.device);
  visit(key("threads", between(1, 4096),
            "per rank; auto: its share of the cores, at most OMP_NUM_THREADS and the container's CPU quota"),
        run.threads);
  visit(key("checkpoint_seconds", between(0, large), "between unit states and between checkpoints; auto: from what one costs"),
        run.checkpoint_seconds);
  visit(key("keep_checkpoints", between(1, many), "newest kept; the calibrated student is always kept"), run.keep_checkpoints);
  visit(key("watchdog_seconds", between(1, large), "a rank without a sign of life for so long ends the run"),
        run.watchdog_seconds);
  visit(key("stop_before_seconds", between(0, large), "checkpoint so long before the Slurm job ends"), run.stop_before_seconds);
  visit(key("shard_wait_seconds", between(0, large), "wait for shards that a shared file system shows late"),
        run.shard_wait_seconds);
  visit(key("cache_megabytes", between(0, large),
            "per rank, for inputs and targets of sections; what half of the free device memory does not hold lies on the host"),
        run.cache_megabytes);
  visit(key("export", list_of({"packed", "onnx", "tensorrt", "openvino", "compressed-tensors", "torch"}),
            "what `run` writes at its end, as `eidolon export` does: [\"onnx\", \"packed\"]; empty: nothing"),
        run.exports);
}

/// Calls visit(const Key&, field) for every key, section by section, in the order of job.h.
template <class AnyJob, class Visitor>
requires std::is_same_v<std::remove_const_t<AnyJob>, Job>
void visit_keys(AnyJob& job, Visitor&& visit) {
  visit_teacher_keys(job, visit);
  visit_synthesis_keys(job, visit);
  visit_synthesis_group_keys(job, visit);
  visit_quantization_keys(job, visit);
  visit_finetuning_keys(job, visit);
  visit_finetuning_group_keys(job, visit);
  visit_evaluation_keys(job, visit);
  visit_run_keys(job, visit);
}

}  // namespace eidolon
