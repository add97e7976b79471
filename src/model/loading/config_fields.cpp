#include "model/loading/config_fields.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"

namespace eidolon {
namespace {

using nlohmann::json;

constexpr int64_t largest_count = 1 << 24;  // far above any model, and safe to multiply

int64_t whole(const json& value) {
  if (!value.is_number_integer()) throw BadInput("is not a whole number");
  const bool fits = value.is_number_unsigned() ? value.get<uint64_t>() <= static_cast<uint64_t>(largest_count) : false;
  if (!fits || value.get<int64_t>() < 1) throw BadInput("is not between 1 and " + std::to_string(largest_count));
  return value.get<int64_t>();
}

double number(const json& value) {
  if (!value.is_number() || !std::isfinite(value.get<double>())) throw BadInput("is not a number");
  return value.get<double>();
}

double positive(const json& value) {
  if (!(number(value) > 0)) throw BadInput("is not positive");
  return value.get<double>();
}

bool flag(const json& value) {
  if (!value.is_boolean()) throw BadInput("is not true or false");
  return value.get<bool>();
}

std::string word(const json& value) {
  if (!value.is_string()) throw BadInput("is not a text");
  return value.get<std::string>();
}

/// A side, or [height, width] of a square.
int64_t square(const json& value) {
  if (!value.is_array()) return whole(value);
  if (value.size() != 2) throw BadInput("is not a side or a pair of sides");
  if (whole(value[0]) != whole(value[1])) throw BadInput("is not a square, and only squares are built");
  return whole(value[0]);
}

std::vector<double> numbers(const json& value) {
  if (!value.is_array() || value.empty()) throw BadInput("is not a list of numbers");
  std::vector<double> result;
  for (const json& entry : value) result.push_back(number(entry));
  return result;
}

/// One number for all channels is allowed.
std::vector<double> per_channel(const json& value) {
  return value.is_number() ? std::vector<double>{number(value)} : numbers(value);
}

std::vector<double> all_positive(std::vector<double> values) {
  if (std::ranges::any_of(values, [](double value) { return !(value > 0); })) throw BadInput("is not positive everywhere");
  return values;
}

/// Names by class index, of a list or of an object {"0": name}; empty unless there is a text for each of 0 ... n - 1.
std::vector<std::string> class_names(const json& labels) {
  if (!labels.is_array() && !labels.is_object()) throw BadInput("is neither a list nor an object");
  std::vector<std::string> names;
  for (size_t index = 0; index < labels.size(); ++index) {
    const json name = labels.is_array() ? labels[index] : labels.value(std::to_string(index), json());
    if (!name.is_string()) return {};
    names.push_back(name.get<std::string>());
  }
  return names;
}

void state(Reading& reading, const char* what, int64_t value, const char* field) {
  reading.config.stated.push_back({what, value, field});
}

/// {"height": h, "width": w} and {"shortest_edge": s}, as transformers reads `size`.
void read_size(const json& value, Processor& processor) {
  if (!value.is_object()) {
    processor.side = square(value);
    processor.keeps_aspect = !value.is_array() && !processor.whole_number_is_a_square;
  } else if (value.size() == 2 && value.contains("height") && value.contains("width")) {
    processor.side = square(json::array({value["height"], value["width"]}));
    processor.keeps_aspect = false;
  } else if (value.size() == 1 && value.contains("shortest_edge")) {
    processor.side = whole(value["shortest_edge"]);
    processor.keeps_aspect = true;
  } else {
    throw BadInput("is not built; {\"height\", \"width\"} and {\"shortest_edge\"} are");
  }
}

int64_t crop_side(const json& value) {
  if (!value.is_object()) return square(value);
  if (value.size() != 2 || !value.contains("height") || !value.contains("width")) {
    throw BadInput("is not built; {\"height\", \"width\"} is");
  }
  return square(json::array({value["height"], value["width"]}));
}

void read_input_size(const json& value, Reading& reading) {
  if (!value.is_array() || value.size() != 3) throw BadInput("is not [channels, height, width]");
  if (!reading.states_channels) state(reading, "channels", whole(value[0]), "pretrained_cfg.input_size");
  const int64_t side = square(json::array({value[1], value[2]}));
  reading.config.preprocessing.image_size = side;
  const bool is_overridden = reading.states_image_size && reading.has_fixed_input_size;
  if (!is_overridden) state(reading, "image size", side, "pretrained_cfg.input_size");
}

std::string resize_of_crop_mode(const json& value) {
  const std::string mode = word(value);
  if (mode == "center") return "shorter side";
  if (mode == "squash") return "both sides";
  if (mode == "border") return "longer side";
  throw BadInput("is not built; \"center\", \"squash\" and \"border\" are");
}

Field honoured(Form form, const char* name, const char* text, void (*read)(const json&, Reading&)) {
  return {form, name, Treatment::honoured, text, {}, read};
}

/// `text` says what another value would ask for.
Field restricted(Form form, const char* name, std::vector<std::string> values, const char* text) {
  return {form, name, Treatment::restricted, text, std::move(values)};
}

void add_silent(std::vector<Field>& fields, Form form, const std::vector<const char*>& names) {
  for (const char* name : names) fields.push_back({form, name, Treatment::silent, ""});
}

void add_timm(std::vector<Field>& fields) {
  constexpr Form form = Form::timm;
  fields.push_back(honoured(form, "architecture", "its number of heads, where no field states them",
                            [](const json& v, Reading& r) { r.config.architecture = word(v); }));
  fields.push_back(honoured(form, "num_classes", "compared with the weights",
                            [](const json& v, Reading& r) { state(r, "classes", whole(v), "num_classes"); }));
  fields.push_back(honoured(form, "num_features", "compared with the weights",
                            [](const json& v, Reading& r) { state(r, "width", whole(v), "num_features"); }));
  fields.push_back(restricted(form, "global_pool", {"\"token\""}, "average and attention pooling"));
  for (const char* name : {"label_names", "labels"}) {
    fields.push_back(honoured(form, name, "the names of the classes",
                              [](const json& v, Reading& r) { r.config.class_names = class_names(v); }));
  }
  fields.push_back(restricted(form, "model_type", {"\"timm_wrapper\""}, "other wrappers than transformers' of timm"));
  fields.push_back(restricted(form, "architectures", {"[\"TimmWrapperForImageClassification\"]"}, "other tasks"));
  fields.push_back(
      restricted(form, "problem_type", {"\"single_label_classification\""}, "several labels per image, regression"));
  add_silent(fields, form,
             {"do_pooling", "dtype", "initializer_range", "label_descriptions", "note", "notes", "torch_dtype",
              "transformers_version"});
}

void add_pretrained_cfg(std::vector<Field>& fields) {
  constexpr Form form = Form::pretrained_cfg;
  fields.push_back(honoured(form, "fixed_input_size", "true: model_args.img_size, where stated, stands above input_size",
                            [](const json& v, Reading& r) { r.has_fixed_input_size = flag(v); }));
  fields.push_back(
      honoured(form, "input_size", "[channels, side, side]; the side to which photographs are cut", read_input_size));
  fields.push_back(honoured(form, "mean", "of pixels in [0, 1], one per channel",
                            [](const json& v, Reading& r) { r.config.preprocessing.mean = numbers(v); }));
  fields.push_back(honoured(form, "std", "of pixels in [0, 1], one per channel",
                            [](const json& v, Reading& r) { r.config.preprocessing.std = all_positive(numbers(v)); }));
  fields.push_back(honoured(form, "interpolation",
                            "nearest, box, bilinear, hamming, bicubic, lanczos as Pillow has them; bicubic if absent",
                            [](const json& v, Reading& r) { r.config.preprocessing.interpolation = word(v); }));
  fields.push_back(honoured(form, "crop_pct", "share of the resized side that is kept; 0.875 if absent",
                            [](const json& v, Reading& r) { r.config.preprocessing.crop_pct = positive(v); }));
  fields.push_back(honoured(form, "crop_mode", "center: shorter side resized; squash: both; border: longer, and padded",
                            [](const json& v, Reading& r) { r.config.preprocessing.resize = resize_of_crop_mode(v); }));
  fields.push_back(honoured(
      form, "num_classes", "compared with the weights unless it stands outside as well", [](const json& v, Reading& r) {
        const bool stands_outside =
            std::ranges::any_of(r.config.stated, [](const StatedNumber& s) { return s.what == "classes"; });
        if (!stands_outside) state(r, "classes", whole(v), "pretrained_cfg.num_classes");
      }));
  fields.push_back(
      honoured(form, "label_names", "the names of the classes, where they do not stand outside", [](const json& v, Reading& r) {
        if (r.config.class_names.empty()) r.config.class_names = class_names(v);
      }));
  fields.push_back(restricted(form, "label_offset", {"0"}, "a head with more rows than classes"));
  add_silent(fields, form,
             {"architecture",
              "classifier",
              "custom_load",
              "description",
              "file",
              "first_conv",
              "hf_hub_filename",
              "hf_hub_id",
              "label_descriptions",
              "license",
              "min_input_size",
              "note",
              "notes",
              "origin_url",
              "paper_ids",
              "paper_name",
              "pool_size",
              "source",
              "tag",
              "test_crop_pct",
              "test_input_size",
              "test_pool_size",
              "url"});
}

void add_model_args(std::vector<Field>& fields) {
  constexpr Form form = Form::model_args;
  fields.push_back(
      honoured(form, "num_heads", "the number of heads", [](const json& v, Reading& r) { r.config.heads = whole(v); }));
  fields.push_back(honoured(form, "embed_dim", "compared with the weights", [](const json& v, Reading& r) {
    r.states_width = true;
    state(r, "width", whole(v), "model_args.embed_dim");
  }));
  fields.push_back(honoured(form, "depth", "compared with the weights",
                            [](const json& v, Reading& r) { state(r, "depth", whole(v), "model_args.depth"); }));
  fields.push_back(honoured(form, "mlp_ratio", "compared with the weights",
                            [](const json& v, Reading& r) { r.config.mlp_ratio = positive(v); }));
  fields.push_back(
      honoured(form, "img_size", "compared with the weights; a side or a pair of equal sides", [](const json& v, Reading& r) {
        r.states_image_size = true;
        state(r, "image size", square(v), "model_args.img_size");
      }));
  fields.push_back(honoured(form, "patch_size", "compared with the weights; a side or a pair of equal sides",
                            [](const json& v, Reading& r) { state(r, "patch size", square(v), "model_args.patch_size"); }));
  fields.push_back(honoured(form, "in_chans", "compared with the weights", [](const json& v, Reading& r) {
    r.states_channels = true;
    state(r, "channels", whole(v), "model_args.in_chans");
  }));
  fields.push_back(honoured(form, "num_classes", "compared with the weights",
                            [](const json& v, Reading& r) { state(r, "classes", whole(v), "model_args.num_classes"); }));
  fields.push_back(restricted(form, "global_pool", {"\"token\""}, "average and attention pooling"));
  fields.push_back(restricted(form, "act_layer", {"\"gelu\""}, "other activations, and approximations of GELU"));
  fields.push_back(
      restricted(form, "norm_layer", {"\"layernorm\"", "\"LayerNorm\"", "\"layer_norm\""}, "other normalisations"));
  fields.push_back(restricted(form, "qkv_bias", {"true"}, "queries, keys and values without a bias"));
  fields.push_back(restricted(form, "proj_bias", {"true"}, "linear layers without a bias"));
  fields.push_back(restricted(form, "class_token", {"true"}, "models without a class token"));
  fields.push_back(restricted(form, "final_norm", {"true"}, "models without a last LayerNorm"));
  fields.push_back(restricted(form, "no_embed_class", {"false"}, "a class token without a position"));
  fields.push_back(restricted(form, "pos_embed", {"\"learn\""}, "models without learned positions"));
  fields.push_back(restricted(form, "reg_tokens", {"0"}, "register tokens"));
  fields.push_back(restricted(form, "init_values", {}, "layer scale"));
  fields.push_back(restricted(form, "pre_norm", {"false"}, "a LayerNorm before the blocks"));
  fields.push_back(restricted(form, "fc_norm", {"false"}, "a LayerNorm behind the pooling"));
  fields.push_back(restricted(form, "qk_norm", {"false"}, "normalised queries and keys"));
  fields.push_back(restricted(form, "scale_attn_norm", {"false"}, "a LayerNorm inside of attention"));
  fields.push_back(restricted(form, "scale_mlp_norm", {"false"}, "a LayerNorm inside of the MLP"));
  fields.push_back(restricted(form, "pool_include_prefix", {"false"}, "pooling of the class token with the others"));
  fields.push_back(restricted(form, "use_naflex", {"false"}, "sequences of any length"));
  for (const char* name : {"embed_norm_layer", "embed_layer", "block_fn", "mlp_layer", "attn_layer"}) {
    fields.push_back(restricted(form, name, {}, "other layers than the plain transformer's"));
  }
  add_silent(fields, form,
             {"attn_drop_rate", "device", "drop_path_rate", "drop_rate", "dtype", "dynamic_img_pad", "dynamic_img_size",
              "fix_init", "patch_drop_rate", "pos_drop_rate", "proj_drop_rate", "strict_img_size", "weight_init"});
}

void add_hugging_face(std::vector<Field>& fields) {
  constexpr Form form = Form::hugging_face;
  fields.push_back(restricted(form, "model_type", {"\"vit\""}, "other families"));
  fields.push_back(
      restricted(form, "architectures", {"[\"ViTForImageClassification\"]"}, "other tasks, and code of the model's own"));
  fields.push_back(honoured(form, "num_attention_heads", "the number of heads; it must be stated",
                            [](const json& v, Reading& r) { r.config.heads = whole(v); }));
  fields.push_back(honoured(form, "hidden_size", "compared with the weights",
                            [](const json& v, Reading& r) { state(r, "width", whole(v), "hidden_size"); }));
  fields.push_back(honoured(form, "num_hidden_layers", "compared with the weights",
                            [](const json& v, Reading& r) { state(r, "depth", whole(v), "num_hidden_layers"); }));
  fields.push_back(honoured(form, "intermediate_size", "compared with the weights",
                            [](const json& v, Reading& r) { state(r, "hidden width", whole(v), "intermediate_size"); }));
  fields.push_back(honoured(form, "image_size", "compared with the weights; a side or a pair of equal sides",
                            [](const json& v, Reading& r) { state(r, "image size", square(v), "image_size"); }));
  fields.push_back(honoured(form, "patch_size", "compared with the weights; a side or a pair of equal sides",
                            [](const json& v, Reading& r) { state(r, "patch size", square(v), "patch_size"); }));
  fields.push_back(honoured(form, "num_channels", "compared with the weights",
                            [](const json& v, Reading& r) { state(r, "channels", whole(v), "num_channels"); }));
  fields.push_back(honoured(form, "layer_norm_eps", "epsilon of every LayerNorm; 1e-12 if absent",
                            [](const json& v, Reading& r) { r.config.layer_norm_epsilon = positive(v); }));
  fields.push_back(honoured(form, "id2label", "the number of classes, compared with the weights, and their names",
                            [](const json& v, Reading& r) {
                              if (!v.is_object()) throw BadInput("is not an object");
                              state(r, "classes", static_cast<int64_t>(v.size()), "id2label");
                              r.config.class_names = class_names(v);
                            }));
  for (const char* name : {"num_labels", "_num_labels"}) {
    fields.push_back(honoured(form, name, "compared with the weights",
                              [](const json& v, Reading& r) { state(r, "classes", whole(v), "num_labels"); }));
  }
  fields.push_back(
      restricted(form, "hidden_act", {"\"gelu\"", "\"gelu_python\""}, "other activations, and approximations of GELU"));
  fields.push_back(restricted(form, "qkv_bias", {"true"}, "queries, keys and values without a bias"));
  fields.push_back(
      restricted(form, "problem_type", {"\"single_label_classification\""}, "several labels per image, regression"));
  fields.push_back(restricted(form, "pruned_heads", {"{}"}, "blocks with fewer heads than others"));
  fields.push_back(restricted(form, "per_layer_config", {"{}"}, "blocks that differ from each other"));
  for (const char* name : {"is_decoder", "is_encoder_decoder", "add_cross_attention"}) {
    fields.push_back(restricted(form, name, {"false"}, "decoders"));
  }
  fields.push_back(restricted(form, "auto_map", {}, "code of the model's own"));
  fields.push_back(restricted(form, "quantization_config", {}, "weights that are quantized already"));
  add_silent(fields, form,
             {"_attn_implementation",
              "_attn_implementation_autoset",
              "_commit_hash",
              "_name_or_path",
              "attention_probs_dropout_prob",
              "attn_implementation",
              "bad_words_ids",
              "begin_suppress_tokens",
              "bos_token_id",
              "chunk_size_feed_forward",
              "cross_attention_hidden_size",
              "decoder_start_token_id",
              "diversity_penalty",
              "do_sample",
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
              "initializer_range",
              "label2id",
              "length_penalty",
              "max_length",
              "min_length",
              "name_or_path",
              "no_repeat_ngram_size",
              "num_beam_groups",
              "num_beams",
              "num_return_sequences",
              "output_attentions",
              "output_hidden_states",
              "output_past",
              "output_scores",
              "pad_token_id",
              "pooler_act",
              "pooler_output_size",
              "prefix",
              "remove_invalid_values",
              "repetition_penalty",
              "return_dict",
              "return_dict_in_generate",
              "sep_token_id",
              "suppress_tokens",
              "task_specific_params",
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
              "use_bfloat16",
              "use_cache",
              "xla_device"});
}

constexpr std::array<const char*, 9> processor_classes{"ViTImageProcessor",  "ViTImageProcessorFast",  "ViTFeatureExtractor",
                                                       "DeiTImageProcessor", "DeiTImageProcessorFast", "DeiTFeatureExtractor",
                                                       "CLIPImageProcessor", "CLIPImageProcessorFast", "CLIPFeatureExtractor"};

void add_processor(std::vector<Field>& fields) {
  constexpr Form form = Form::processor;
  for (const char* name : {"image_processor_type", "feature_extractor_type"}) {
    fields.push_back(honoured(form, name, "ViT, DeiT or CLIP's ImageProcessor(Fast) or FeatureExtractor; gives absent fields",
                              [](const json& v, Reading&) {
                                if (!processor_of_class(word(v)))
                                  throw BadInput("is not built; those of ViT, DeiT and CLIP are");
                              }));
  }
  fields.push_back(honoured(form, "do_resize", "must be true, since a model takes one size only",
                            [](const json& v, Reading& r) { r.processor.does_resize = flag(v); }));
  fields.push_back(honoured(form, "size",
                            "height and width: both sides are resized, to a square; shortest_edge: with do_center_crop",
                            [](const json& v, Reading& r) { read_size(v, r.processor); }));
  fields.push_back(honoured(form, "default_to_square", "whether a plain number in size means height and width",
                            [](const json& v, Reading& r) { r.processor.whole_number_is_a_square = flag(v); }));
  fields.push_back(honoured(form, "resample",
                            "0 nearest, 1 lanczos, 2 bilinear, 3 bicubic, 4 box, 5 hamming, as Pillow has them",
                            [](const json& v, Reading& r) {
                              if (v != json(0)) whole(v);
                              r.processor.resample = v.get<int64_t>();
                              if (r.processor.resample > 5) throw BadInput("is not one of Pillow's filters, 0 to 5");
                            }));
  fields.push_back(honoured(form, "do_center_crop", "whether crop_size is cut from the centre",
                            [](const json& v, Reading& r) { r.processor.does_crop = flag(v); }));
  fields.push_back(honoured(form, "crop_size", "the side that is cut out, at most the resized side",
                            [](const json& v, Reading& r) { r.processor.crop = crop_side(v); }));
  fields.push_back(honoured(form, "do_rescale", "goes into mean and std",
                            [](const json& v, Reading& r) { r.processor.does_rescale = flag(v); }));
  fields.push_back(honoured(form, "rescale_factor", "goes into mean and std",
                            [](const json& v, Reading& r) { r.processor.rescale_factor = positive(v); }));
  fields.push_back(honoured(form, "do_normalize", "false: mean 0 and std 1",
                            [](const json& v, Reading& r) { r.processor.does_normalize = flag(v); }));
  fields.push_back(honoured(form, "image_mean", "one per channel, or one for all",
                            [](const json& v, Reading& r) { r.processor.mean = per_channel(v); }));
  fields.push_back(honoured(form, "image_std", "one per channel, or one for all",
                            [](const json& v, Reading& r) { r.processor.std = all_positive(per_channel(v)); }));
  fields.push_back(restricted(form, "do_pad", {"false"}, "padding"));
  fields.push_back(restricted(form, "do_reduce_labels", {"false"}, "labels that count from one"));
  fields.push_back(restricted(form, "reduce_labels", {"false"}, "labels that count from one"));
  fields.push_back(restricted(form, "do_flip_channel_order", {"false"}, "blue before red"));
  fields.push_back(restricted(form, "auto_map", {}, "code of the model's own"));
  for (const char* name : {"data_format", "input_data_format"}) {
    fields.push_back(restricted(form, name, {"\"channels_first\""}, "tensors with the channels last"));
  }
  add_silent(fields, form,
             {"_processor_class", "_valid_processor_keys", "device", "disable_grouping", "do_convert_rgb", "image_seq_length",
              "pad_size", "processor_class", "return_tensors", "transformers_version"});
}

/// Words joined by ", ", in lines of at most 118 characters.
std::string wrapped(const std::vector<std::string>& words) {
  std::string text, line;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string next = words[i] + (i + 1 < words.size() ? "," : ".");
    if (!line.empty() && line.size() + 1 + next.size() > 118) {
      text += line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + next;
  }
  return text + line + "\n";
}

std::string restriction(const Field& field) {
  std::string values;
  for (const std::string& value : field.values) values += (values.empty() ? "`" : ", `") + value + "`";
  return values.empty() ? "refused: " + field.text : "must be " + values + "; refused: " + field.text;
}

}  // namespace

std::optional<Processor> processor_of_class(const std::string& name) {
  if (std::ranges::find(processor_classes, name) == processor_classes.end()) return std::nullopt;
  Processor processor;
  if (name.starts_with("DeiT")) {
    processor.side = 256;
    processor.crop = 224;
    processor.does_crop = true;
    processor.resample = 3;
  } else if (name.starts_with("CLIP")) {
    processor.keeps_aspect = true;
    processor.whole_number_is_a_square = false;
    processor.crop = 224;
    processor.does_crop = true;
    processor.resample = 3;
    processor.mean = {0.48145466, 0.4578275, 0.40821073};
    processor.std = {0.26862954, 0.26130258, 0.27577711};
  }
  return processor;
}

const std::vector<Field>& config_fields() {
  static const std::vector<Field> fields = [] {
    std::vector<Field> all;
    add_timm(all);
    add_pretrained_cfg(all);
    add_model_args(all);
    add_hugging_face(all);
    add_processor(all);
    return all;
  }();
  return fields;
}

std::string config_fields_as_markdown() {
  const std::array<std::pair<Form, const char*>, 5> forms{
      {{Form::timm, "timm's `config.json`"},
       {Form::pretrained_cfg, "`pretrained_cfg` in it, or the same fields beside `architecture` in the old flat form"},
       {Form::model_args, "`model_args` in it"},
       {Form::hugging_face, "Hugging Face's `config.json`"},
       {Form::processor, "`preprocessor_config.json`, or `image_processor` in `processor_config.json`"}}};
  std::string text;
  for (const auto& [form, title] : forms) {
    text += "### " + std::string(title) + "\n\n| field | what is done |\n|---|---|\n";
    std::vector<std::string> silent;
    for (const Field& field : config_fields()) {
      if (field.form != form) continue;
      if (field.treatment == Treatment::silent) {
        silent.push_back("`" + field.name + "`");
      } else {
        text +=
            "| `" + field.name + "` | " + (field.treatment == Treatment::honoured ? field.text : restriction(field)) + " |\n";
      }
    }
    text += "\nPassed over, since they say nothing of what the model computes:\n" + wrapped(silent) + "\n";
  }
  text.pop_back();
  return text;
}

}  // namespace eidolon
