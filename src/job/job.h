// The job: everything a run is told, as one plain struct.
//
// Every field has a type and a default. job/schema.h lists the TOML key, the allowed range and one line of help of each.
// The reader, --set, --print-config and the identities all walk that list. std::nullopt stands for "auto".
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace eidolon {

/// What neither the weights nor the files beside them say, or say wrongly. Empty and 0: nothing is said here.
struct ArchitectureJob {
  int64_t heads = 0;
  std::string activation;  ///< gelu | gelu_tanh | quick_gelu | silu | relu
  double epsilon = 0;      ///< of the norms
  std::string pooling;     ///< token | avg | map | none
};

struct TeacherJob {
  std::filesystem::path weights;           ///< folder with model.safetensors and config.json
  int64_t image_size = 0;                  ///< positions are resampled to it; 0: the model's own
  std::string output;                      ///< of a teacher without classes: pooled | tokens | both | stages; empty: its own
  std::filesystem::path class_embeddings;  ///< of a tower of CLIP or SigLIP; empty: none
  ArchitectureJob architecture;
};

/// Of synthesis.method = "views": what the teacher sees of an image at an iteration (synthesis/views.h).
struct ViewsJob {
  double smallest_side = 0.4;  ///< of the random windows, as a share of the image's side
  double colour = 0.3;         ///< log of the gain and offset per channel, at most
};

/// Of synthesis.method = "sardfq" (arXiv 2412.16553).
struct SardfqJob {
  std::optional<double> prior_weight;  ///< alpha_1; 0: no attention priors; auto: synthesis/prior_weight.h
  int64_t crops = 4;                   ///< K_MSR, crops per image at most; 0: none
  bool soft_labels = true;             ///< false: equal shares of the classes that are shown
};

/// Of synthesis.method = "psaq" (arXiv 2203.02250).
struct PsaqJob {
  double entropy_weight = 1.0;          ///< of the entropy of patch similarities, summed over the blocks
  std::string entropy_form = "kernel";  ///< kernel | gaussian
  double head_similarity_weight = 0.0;  ///< of MimiQ's inter-head similarity, which goes well with it
};

/// Of synthesis.method = "psaq_v2" (arXiv 2209.05687).
struct PsaqV2Job {
  int64_t cycles = 3;                ///< images set against the student of the cycle before, and a student of these
  int64_t iterations = 100;          ///< optimisation steps of a unit in a cycle
  double disagreement_weight = 1.0;  ///< of the distance between teacher and student, which images seek
  bool adaptive = true;              ///< in units of what the student has left to learn
};

/// Of synthesis.method = "generator" (GDFQ, arXiv 2003.03603; ACQ, arXiv 2301.07266); weights of 0 leave a loss out.
struct GeneratorJob {
  int64_t batch = 64;               ///< images of a training step, over all ranks: whole groups of unit_images
  double class_weight = 1.0;        ///< of the cross entropy
  double centre_weight = 1.0;       ///< of the distance between wanted and found centre of attention
  double pair_weight = 0.1;         ///< of the likeness of images that share class and centre
  double consistency_weight = 1.0;  ///< of the difference of attention between BatchNorm's two modes
};

/// The defaults are those of the method "views"; job/synthesis_methods.h has those of the others.
struct SynthesisJob {
  std::string method = "views";                    ///< job/synthesis_methods.h lists them
  std::string start = "leaves, scenes, textures";  ///< what the pixels start from
  double enlargement = 1.0;                        ///< of the images, each by a factor from 1 to this; 1: none
  int64_t images = 256;                            ///< decides the student, but no image: raising it only adds units
  int64_t held_out_images = 32;  ///< further images, never trained on, at least so many; decides the student, but no image
  int64_t unit_images = 16;      ///< consecutive images optimised together, one shard
  double optimised_share = 0.5;  ///< of the units; the images of the others are their starts
  int64_t iterations = 100;      ///< of an optimised unit, or of the generator; 0: none is optimised
  uint64_t seed = 1;
  std::optional<std::string> precision;  ///< auto | fp32 | bf16
  double learning_rate = 0.05;           ///< of Adam, in units of ImageNet-normalised pixels (std 0.226)
  double variation_weight = 0.0;         ///< of the total-variation term, per image
  double batchnorm_weight = 0.0;         ///< of the term of BatchNorm's statistics
  ViewsJob views;
  SardfqJob sardfq;
  PsaqJob psaq;
  PsaqV2Job psaq_v2;
  GeneratorJob generator;
};

/// Of quantization.correction = "low_rank" (ASER, arXiv 2411.07762).
struct LowRankJob {
  int64_t rank = 16;                  ///< of each layer's branch, at most
  double share = 1.0;                 ///< of the sum of singular values that a branch keeps
  int64_t smoothed_channels = 0;      ///< of each layer, whose weights leave the rounded part
  std::string precision = "float16";  ///< float16 | int8: of the factors
  std::string rounding = "nearest";   ///< nearest | compensated: of what is left to round
};

/// A recipe decides the formats of all nodes; the keys from weight_bits to attention_granularity are those of "research".
struct QuantizationJob {
  std::string recipe = "int8";  ///< research | int8 | w4a8 | w4a16 | fp8 | mxfp8 | mxfp4 | nvfp4 (quantization/recipe.h)
  std::string int4_scales = "block32";  ///< w4a8, w4a16: block32 | block64 | block128 | channel: what shares a weight scale
  int64_t float_channels = 8;           ///< int8, w4a8: input channels of a layer that may stay float beside the integers
  int64_t weight_bits = 4;
  int64_t activation_bits = 4;
  bool weight_symmetric = false;
  std::string weight_format = "integer";        ///< integer | integer_block32 | ... | nvfp4 (job/number_formats.h)
  std::string activation_format = "companded";  ///< uniform | companded: of heavy-tailed values | fp8_e4m3 | ... | nvfp4
  std::string attention = "companded";          ///< of the probabilities: the same and log2 | log_sqrt2
  std::string attention_granularity = "row";    ///< row | tensor: what shares one scale of the probabilities
  bool reparameterize = true;                   ///< RepQ: per-channel post-LayerNorm scales folded into LayerNorm and weights
  bool rotate_heads = true;                     ///< spread outliers of q, k and v by a rotation folded into the weights
  std::string bits_for;                         ///< "blocks.0.*: 8, head.*: float": other bits for some nodes
  std::string ranges = "search";                ///< search | min_max: of every quantizer
  int64_t calibration_images = 32;
  std::string correction = "bias";  ///< none | bias | rounding | low_rank | ridge: closed-form correction of each linear layer
  LowRankJob low_rank;
};

/// Training of the quantizers' scales, beside the weights.
struct ScalesJob {
  double activation_learning_rate = 0.0;  ///< Adam, relative to each scale; 0 freezes them
  double weight_learning_rate = 0.0;      ///< the same for weight scales
};

/// Of finetuning.rounding = "adaround" (arXiv 2004.10568).
struct AdaroundJob {
  double learning_rate = 0.02;  ///< Adam, of the rounding variables
};

/// End-to-end distillation.
struct DistillJob {
  int64_t iterations = 0;          ///< after the blocks
  double learning_rate = 1e-3;     ///< of these, as finetuning.learning_rate
  std::string optimizer = "adam";  ///< adam | sgd, whose rate is one for all and not in quantizer steps
  std::string distance = "kl";     ///< kl | mae: of the outputs
  double temperature = 1.0;        ///< of the softmax in the divergence, which counts T^2 times
  double feature_weight = 1.0;     ///< of the relative squared error of block outputs, beside KL in nats
  std::string images = "stored";   ///< a mixture of "stored" (the shards', shifted and mirrored) and procedural families
};

struct FinetuningJob {
  std::string method = "blockwise";           ///< blockwise | distill | none
  int64_t batch = 16;                         ///< global, over all ranks; equals the number of shards of a batch
  int64_t iterations = 100;                   ///< per section (blockwise) or in all (distill)
  double learning_rate = 1e-2;                ///< Adam, weights: in steps of each channel's quantizer per iteration
  double learning_rate_multiplier = 4.0;      ///< blockwise: of the first quarter of the sections, falling to 1 midway
  double input_mix = 0.5;                     ///< probability that an element of a block's input is the teacher's
  std::string rounding = "straight_through";  ///< straight_through | adaround: how weights are trained
  std::string importance = "gradient";        ///< none | gradient: weights of a block's squared error
  bool token_units = true;                    ///< a token's error is relative to its deviation over channels
  bool train_low_rank = true;                 ///< the branches of quantization.correction = "low_rank", with the weights
  std::optional<std::string> precision;       ///< auto | fp32 | tf32 | bf16: of float32 products in training
  uint64_t seed = 1;
  ScalesJob scales;
  AdaroundJob adaround;
  DistillJob distill;
};

struct EvaluationJob {
  std::filesystem::path images;   ///< empty: no labelled images; figures on held-out synthetic images instead
  std::filesystem::path classes;  ///< one class folder name per line; empty: folder names are the indices
  int64_t batch = 32;             ///< images per forward pass of one rank
};

struct RunJob {
  std::filesystem::path shards;              ///< folder of image shards; empty: the run directory's own
  std::optional<std::string> device;         ///< auto | cpu | cuda
  std::optional<int64_t> threads;            ///< per rank; auto: the affinity mask divided by the local ranks that share it
  std::optional<double> checkpoint_seconds;  ///< between unit states and between checkpoints; auto: from their cost
  int64_t keep_checkpoints = 2;              ///< newest kept; step 0 is always kept
  double watchdog_seconds = 600;     ///< a rank that keeps others waiting without a sign of life for so long ends the run
  double stop_before_seconds = 120;  ///< before the end of the Slurm job; at most a quarter of the time that is left
  double shard_wait_seconds = 60;    ///< for shards that a shared file system shows late
  int64_t cache_megabytes = 4096;    ///< per rank, for block inputs and targets of reconstruction
  std::string exports;               ///< key "export": targets between commas (exporting/targets.h)
};

struct Job {
  std::string name;  ///< the file's stem; names the run directory
  std::filesystem::path file;
  TeacherJob teacher;
  SynthesisJob synthesis;
  QuantizationJob quantization;
  FinetuningJob finetuning;
  EvaluationJob evaluation;
  RunJob run;
};

}  // namespace eidolon
