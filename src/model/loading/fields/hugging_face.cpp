// The fields of Hugging Face's config.json.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/loading/fields/readers.h"
#include "model/loading/fields/rows.h"

namespace eidolon {
namespace {

using nlohmann::json;
using namespace fields;

/// What a family's class has where config.json is silent.
struct ModelType {
  std::string_view name;
  double epsilon = 1e-12;
  const char* activation = "gelu";
  const char* pooling = "token";  ///< of an encoder without a classifier
  bool resamples = false;         ///< positions to the size of the image, whatever it is
  bool antialiases = false;
  int64_t heads = 12;  ///< of the class's own width
};

constexpr std::array<ModelType, 14> model_types{{
    {.name = "vit"},
    {.name = "deit"},
    {.name = "vit_mae"},
    {.name = "beit", .pooling = "avg"},
    {.name = "dinov2", .epsilon = 1e-6, .resamples = true},
    {.name = "dinov2_with_registers", .epsilon = 1e-6, .resamples = true, .antialiases = true},
    {.name = "dinov3_vit", .epsilon = 1e-5, .resamples = true, .heads = 6},
    {.name = "clip", .epsilon = 1e-5, .activation = "quick_gelu"},
    {.name = "clip_vision_model", .epsilon = 1e-5, .activation = "quick_gelu"},
    {.name = "siglip", .epsilon = 1e-6, .activation = "gelu_tanh", .pooling = "map"},
    {.name = "siglip_vision_model", .epsilon = 1e-6, .activation = "gelu_tanh", .pooling = "map"},
    {.name = "ijepa", .pooling = "avg"},
    {.name = "swin", .epsilon = 1e-5, .pooling = "avg", .resamples = true},
    {.name = "resnet", .epsilon = 1e-5, .activation = "relu", .pooling = "avg", .resamples = true},
}};

void read_model_type(const std::string& name, Reading& reading) {
  const auto* found = std::ranges::find(model_types, name, &ModelType::name);
  if (found == model_types.end()) {
    std::string all;
    for (const ModelType& type : model_types) all += (all.empty() ? "" : ", ") + std::string(type.name);
    throw BadInput("is not built; " + all + " are");
  }
  ModelConfig& config = reading.config;
  config.architecture = name;
  if (!config.epsilon) config.epsilon = found->epsilon;
  if (!config.activation) config.activation = found->activation;
  if (!config.pooling) config.pooling = found->pooling;
  config.resamples_positions = found->resamples;
  config.antialiases_positions = found->antialiases;
  reading.default_heads = found->heads;
  if (name == "dinov3_vit") reading.rotation = {.kind = "dinov3", .temperature = 100, .halves = true};
}

void read_temperature(const json& value, Reading& reading) {
  if (reading.rotation.kind.empty()) throw BadInput("is of a rotation, which this family does not have");
  reading.rotation.temperature = positive(value);
}

/// Classifiers end in ForImageClassification; encoders in Model. What else there is does something else.
void read_task(const json& value, Reading& reading) {
  static constexpr std::array<std::string_view, 8> classifiers{"ViTForImageClassification",
                                                               "DeiTForImageClassification",
                                                               "DeiTForImageClassificationWithTeacher",
                                                               "Dinov2ForImageClassification",
                                                               "Dinov2WithRegistersForImageClassification",
                                                               "BeitForImageClassification",
                                                               "SwinForImageClassification",
                                                               "ResNetForImageClassification"};
  static constexpr std::array<std::string_view, 17> encoders{"ViTModel",
                                                             "DeiTModel",
                                                             "ViTMAEModel",
                                                             "ViTMAEForPreTraining",
                                                             "BeitModel",
                                                             "Dinov2Model",
                                                             "Dinov2WithRegistersModel",
                                                             "DINOv3ViTModel",
                                                             "CLIPModel",
                                                             "CLIPVisionModel",
                                                             "CLIPVisionModelWithProjection",
                                                             "SiglipModel",
                                                             "SiglipVisionModel",
                                                             "IJepaModel",
                                                             "SwinModel",
                                                             "SwinBackbone",
                                                             "ResNetModel"};
  if (!value.is_array() || value.size() != 1 || !value[0].is_string()) throw BadInput("is not a list of one name");
  reading.task = value[0].get<std::string>();
  reading.config.headless = std::ranges::find(encoders, reading.task) != encoders.end();
  reading.config.gives_embedding = reading.task == "CLIPModel" || reading.task == "CLIPVisionModelWithProjection";
  if (!reading.config.headless && std::ranges::find(classifiers, reading.task) == classifiers.end()) {
    throw BadInput("asks for a task that is not built: an image classifier or an encoder is");
  }
}

void add_family(Rows& rows) {
  rows.honoured("model_type", "the family, which has its own defaults",
                [](const json& v, Reading& r) { read_model_type(word(v), r); });
  rows.honoured("architectures", "the task: a classifier, or an encoder without classes", read_task);
  rows.honoured("num_attention_heads", "the number of heads; without it that of the family's default",
                [](const json& v, Reading& r) { r.config.heads = whole(v); });
}

/// Of networks in stages: Swin and ResNet.
void add_stages(Rows& rows) {
  rows.honoured("num_heads", "of the stages, compared with the weights", [](const json& v, Reading& r) {
    if (!state_list(r, "heads", v, "num_heads")) throw BadInput("is not a list");
  });
  rows.honoured("depths", "of the stages, compared with the weights", [](const json& v, Reading& r) {
    if (!state_list(r, "depths", v, "depths")) throw BadInput("is not a list");
  });
  rows.honoured("embed_dim", "of the first stage, compared with the weights",
                [](const json& v, Reading& r) { state(r, "embedding width", whole(v), "embed_dim"); });
  rows.restricted({"downsample_in_bottleneck", "downsample_in_first_stage"}, {"false"}, "strides in other places of a ResNet");
  rows.restricted("use_absolute_embeddings", {"false"}, "positions of a Swin transformer's tokens");
}

void add_sizes(Rows& rows) {
  rows.compared("hidden_size", whole, "width");
  rows.compared("num_hidden_layers", whole, "depth");
  rows.compared("intermediate_size", whole, "hidden width");
  rows.compared_side("image_size", "image size");
  rows.compared_side("patch_size", "patch size");
  rows.compared("num_channels", whole, "channels");
}

void add_classes(Rows& rows) {
  rows.honoured("id2label", "the number of classes, compared with the weights, and their names", [](const json& v, Reading& r) {
    if (!v.is_object()) throw BadInput("is not an object");
    state(r, "classes", static_cast<int64_t>(v.size()), "id2label");
    r.config.class_names = class_names(v);
  });
  rows.compared({"num_labels", "_num_labels"}, whole, "classes");
}

void add_rotation(Rows& rows) {
  rows.honoured("rope_theta", "the temperature of the rotation of queries and keys", read_temperature);
  rows.honoured("rope_parameters", "its rope_theta is the temperature of the rotation", [](const json& v, Reading& r) {
    if (!v.is_object() || !v.contains("rope_theta")) throw BadInput("has no rope_theta");
    read_temperature(v["rope_theta"], r);
  });
}

void add_gates(Rows& rows) {
  rows.honoured("use_swiglu_ffn", "true: the gate is a SiLU, whatever hidden_act says", [](const json& v, Reading& r) {
    r.has_silu_gate = flag(v);
    state(r, "gated", flag(v), "use_swiglu_ffn");
  });
  rows.compared("use_gated_mlp", flag, "gated");
}

void add_pooling(Rows& rows) {
  rows.honoured("use_mean_pooling", "whether BEiT pools the mean of the patches, and not the class token",
                [](const json& v, Reading& r) { r.config.pooling = flag(v) ? "avg" : "token"; });
  rows.honoured("vision_use_head", "whether SigLIP has attention pooling",
                [](const json& v, Reading& r) { r.config.pooling = flag(v) ? "map" : "none"; });
}

/// Fields that are refused unless they say what is built.
void add_restricted(Rows& rows) {
  rows.restricted("use_shared_relative_position_bias", {"false"}, "one table of relative positions for all blocks");
  rows.restricted("problem_type", {"\"single_label_classification\""}, "several labels per image, regression");
  rows.restricted("pruned_heads", {"{}"}, "blocks with fewer heads than others");
  rows.restricted("per_layer_config", {"{}"}, "blocks that differ from each other");
  rows.restricted({"is_decoder", "is_encoder_decoder", "add_cross_attention"}, {"false"}, "decoders");
  rows.restricted("auto_map", {}, "code of the model's own");
  rows.restricted("quantization_config", {}, "weights that are quantized already");
}

/// What says nothing of the function: training, dropout, text generation, other towers and heads.
void add_silent(Rows& rows) {
  rows.silent({"_attn_implementation",
               "_attn_implementation_autoset",
               "_commit_hash",
               "_name_or_path",
               "add_fpn",
               "apply_layernorm",
               "attention_dropout",
               "attention_probs_dropout_prob",
               "attn_implementation",
               "auxiliary_channels",
               "auxiliary_concat_input",
               "auxiliary_loss_weight",
               "auxiliary_num_convs",
               "bad_words_ids",
               "begin_suppress_tokens",
               "bos_token_id",
               "chunk_size_feed_forward",
               "cross_attention_hidden_size",
               "decoder_hidden_size",
               "decoder_intermediate_size",
               "decoder_num_attention_heads",
               "decoder_num_hidden_layers",
               "decoder_start_token_id",
               "diversity_penalty",
               "do_sample",
               "drop_path_rate",
               "dtype",
               "early_stopping",
               "encoder_no_repeat_ngram_size",
               "encoder_stride",
               "eos_token_id",
               "exponential_decay_length_penalty",
               "finetuning_task",
               "forced_bos_token_id",
               "forced_eos_token_id",
               "gradient_checkpointing",
               "hidden_dropout_prob",
               "initializer_factor",
               "initializer_range",
               "label2id",
               "layer_scale_init_value",
               "layerscale_value",
               "length_penalty",
               "logit_scale_init_value",
               "mask_ratio",
               "max_length",
               "min_length",
               "name_or_path",
               "no_repeat_ngram_size",
               "norm_pix_loss",
               "num_beam_groups",
               "num_beams",
               "num_layers",
               "num_return_sequences",
               "out_features",
               "out_indices",
               "output_attentions",
               "output_hidden_states",
               "output_past",
               "output_scores",
               "pad_token_id",
               "pool_scales",
               "pooler_act",
               "pooler_output_size",
               "pos_embed_jitter",
               "pos_embed_rescale",
               "pos_embed_shift",
               "prefix",
               "remove_invalid_values",
               "repetition_penalty",
               "reshape_hidden_states",
               "return_dict",
               "return_dict_in_generate",
               "semantic_loss_ignore_index",
               "sep_token_id",
               "stage_names",
               "suppress_tokens",
               "task_specific_params",
               "text_config",
               "temperature",
               "tf_legacy_loss",
               "tie_encoder_decoder",
               "tie_last_hidden_states",
               "tie_word_embeddings",
               "tokenizer_class",
               "top_k",
               "top_p",
               "torch_dtype",
               "torchscript",
               "transformers_version",
               "typical_p",
               "use_auxiliary_head",
               "use_bfloat16",
               "use_cache",
               "use_mask_token",
               "vocab_size",
               "xla_device"});
}

}  // namespace

void fields::add_hugging_face(std::vector<Field>& fields) {
  Rows rows{.list = fields, .form = Form::hugging_face};
  add_family(rows);
  add_stages(rows);
  add_sizes(rows);
  rows.honoured("layer_norm_eps", "epsilon of every norm; the family's default if absent",
                [](const json& v, Reading& r) { r.config.epsilon = positive(v); });
  add_classes(rows);
  rows.honoured("hidden_act", "the activation", [](const json& v, Reading& r) { r.config.activation = activation(v); });
  rows.honoured("mlp_ratio", "compared with the weights, where the MLP is not gated",
                [](const json& v, Reading& r) { r.config.mlp_ratio = positive(v); });
  rows.compared("num_register_tokens", whole_or_none, "registers");
  add_rotation(rows);
  add_gates(rows);
  add_pooling(rows);
  rows.honoured("qkv_bias", "true: the weights must have it; false: they must not",
                [](const json& v, Reading& r) { r.config.qkv_bias = flag(v); });
  rows.honoured("vision_config", "the fields of the tower that is read", nullptr);
  rows.told_by_weights({"embedding_size", "hidden_sizes", "key_bias", "layer_type", "mlp_bias", "projection_dim", "proj_bias",
                        "query_bias", "use_absolute_position_embeddings", "use_relative_position_bias", "value_bias",
                        "window_size"});
  add_restricted(rows);
  add_silent(rows);
}

}  // namespace eidolon
