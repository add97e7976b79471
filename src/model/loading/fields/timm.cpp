// The fields of timm's config.json.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/loading/fields/readers.h"
#include "model/loading/fields/rows.h"

namespace eidolon {
namespace {

using nlohmann::json;
using namespace fields;

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

void read_pooling(const json& value, Reading& reading) {
  const std::string name = word(value);
  constexpr std::array<const char*, 4> built{"token", "avg", "map", ""};
  if (std::ranges::none_of(built, [&](const char* known) { return name == known; })) {
    throw BadInput("is not built; \"token\", \"avg\", \"map\" and \"\" are");
  }
  reading.config.pooling = name.empty() ? "none" : name;
}

/// Whether a tag of a contrastive tower names its pretraining and not a fine-tuned classifier: "openai", "webli".
bool is_embedding_tag(const Reading& reading, const std::string& tag) {
  const std::string& name = reading.config.architecture;
  const bool is_tower = name.find("_clip_") != std::string::npos || name.find("siglip") != std::string::npos;
  return is_tower && !tag.empty() && tag.find("ft") == std::string::npos;
}

/// Of a transformer or its stages.
void add_sizes(Rows& rows) {
  rows.honoured("num_heads", "the number of heads", [](const json& v, Reading& r) {
    if (!state_list(r, "heads", v, "model_args.num_heads")) r.config.heads = whole(v);
  });
  rows.honoured("depths", "of the stages, compared with the weights", [](const json& v, Reading& r) {
    if (!state_list(r, "depths", v, "model_args.depths")) throw BadInput("is not a list");
  });
  rows.honoured("embed_dim", "compared with the weights", [](const json& v, Reading& r) {
    r.states_width = true;
    state(r, "width", whole(v), "model_args.embed_dim");
  });
  rows.compared("depth", whole, "depth");
  rows.honoured("mlp_ratio", "compared with the weights", [](const json& v, Reading& r) { r.config.mlp_ratio = positive(v); });
  rows.honoured("img_size", "compared with the weights; a side or a pair of equal sides", [](const json& v, Reading& r) {
    r.states_image_size = true;
    state(r, "image size", square(v), "model_args.img_size");
  });
  rows.compared_side("patch_size", "patch size");
  rows.honoured("in_chans", "compared with the weights", [](const json& v, Reading& r) {
    r.states_channels = true;
    state(r, "channels", whole(v), "model_args.in_chans");
  });
  rows.compared("num_classes", whole_or_none, "classes");
}

/// Parts that a constructor is told to build, and that the weights then must have.
void add_stated_parts(Rows& rows) {
  rows.compared("class_token", flag, "class token");
  rows.honoured("init_values", "compared with the weights", [](const json& v, Reading& r) {
    number(v);
    state(r, "layer scale", true, "model_args.init_values");
  });
  rows.honoured({"fc_norm", "use_fc_norm"}, "compared with the weights", [](const json& v, Reading& r) {
    r.config.pooled_norm = flag(v);
    state(r, "pooled norm", flag(v), "model_args.fc_norm");
  });
  rows.compared({"pre_norm", "use_pre_transformer_norm"}, flag, "norm before blocks");
  rows.compared("qk_norm", flag, "query key norm");
  rows.compared({"scale_attn_norm", "scale_attn_inner"}, flag, "inner norm");
  rows.compared({"scale_mlp_norm", "scale_mlp"}, flag, "mlp norm");
  rows.compared("swiglu_mlp", flag, "gated");
}

/// Of convolutional networks.
void add_convolutions(Rows& rows) {
  rows.honoured("pad_type", "same: as TensorFlow pads; empty: evenly", [](const json& v, Reading& r) {
    if (word(v) != "same" && !word(v).empty()) throw BadInput("is neither \"same\" nor \"\"");
    r.config.same_padding = word(v) == "same";
  });
  rows.honoured("bn_eps", "epsilon of BatchNorm", [](const json& v, Reading& r) { r.config.epsilon = positive(v); });
  rows.told_by_weights({"block", "channels", "layers", "stem_size", "fix_stem", "channel_multiplier", "depth_multiplier",
                        "num_features", "round_chs_fn", "block_args"});
  rows.restricted("output_stride", {"32"}, "dilated convolutions");
  rows.restricted({"stem_type", "replace_stem_pool"}, {"\"\"", "false"}, "other stems");
  rows.restricted("avg_down", {"false"}, "skips with average pooling");
  rows.restricted("cardinality", {"1"}, "grouped convolutions, unless the weights tell");
  rows.silent({"drop_block_rate", "zero_init_last", "bn_momentum"});
}

/// What Eva of timm takes for the rotation of queries and keys.
void add_rotation(Rows& rows) {
  rows.honoured("use_rot_pos_emb", "whether queries and keys are rotated",
                [](const json& v, Reading& r) { r.rotates = flag(v); });
  rows.honoured("rope_type", "cat, dinov3 or mixed; cat if absent", [](const json& v, Reading& r) {
    constexpr std::array<const char*, 3> built{"cat", "dinov3", "mixed"};
    const std::string kind = word(v);
    const auto known = std::ranges::find_if(built, [&](const char* name) { return kind == name; });
    if (known == built.end()) throw BadInput("is not built; \"cat\", \"dinov3\" and \"mixed\" are");
    r.rotation.kind = *known;
  });
  rows.honoured("rope_temperature", "of the rotation's frequencies; 10000 if absent",
                [](const json& v, Reading& r) { r.rotation.temperature = positive(v); });
  rows.honoured("rope_grid_offset", "added to the places", [](const json& v, Reading& r) { r.rotation.offset = number(v); });
  rows.honoured("rope_grid_indexing", "ij: rows first; xy: columns first", [](const json& v, Reading& r) {
    if (word(v) != "ij" && word(v) != "xy") throw BadInput("is neither \"ij\" nor \"xy\"");
    r.rotation.columns_first = word(v) == "xy";
  });
  rows.honoured("rope_rotate_half", "whether halves turn, and not neighbours",
                [](const json& v, Reading& r) { r.rotation.halves = flag(v); });
  rows.honoured("ref_feat_shape", "patches a side to which the grid is stretched",
                [](const json& v, Reading& r) { r.rotation.reference = static_cast<double>(square(v)); });
}

/// Layers that are refused unless they are those that are built.
void add_restricted(Rows& rows) {
  rows.restricted("pos_embed", {"\"learn\"", "\"none\"", "\"\""}, "computed positions");
  rows.restricted("attn_type", {"\"eva\"", "\"rope\""}, "other kinds of attention");
  rows.restricted("use_post_norm", {"false"}, "norms behind attention and MLP");
  rows.restricted("use_shared_rel_pos_bias", {"false"}, "one table of relative positions for all blocks");
  rows.restricted("pool_include_prefix", {"false"}, "pooling of the class token with the others");
  rows.restricted("use_naflex", {"false"}, "sequences of any length");
  rows.restricted({"embed_norm_layer", "embed_layer", "block_fn", "attn_layer", "num_kv_heads"}, {},
                  "other layers than the plain transformer's");
}

}  // namespace

void fields::add_timm(std::vector<Field>& fields) {
  Rows rows{.list = fields, .form = Form::timm};
  rows.honoured("architecture", "what its name says where no field does: heads, activation, epsilon, pooling, rotation",
                [](const json& v, Reading& r) { r.config.architecture = word(v); });
  rows.compared("num_classes", whole_or_none, "classes");
  rows.compared("num_features", whole, "width");
  rows.honoured("global_pool", "how tokens are pooled: token, avg, map, or \"\" for none", read_pooling);
  rows.honoured({"label_names", "labels"}, "the names of the classes",
                [](const json& v, Reading& r) { r.config.class_names = class_names(v); });
  rows.restricted("model_type", {"\"timm_wrapper\""}, "other wrappers than transformers' of timm");
  rows.restricted("architectures", {"[\"TimmWrapperForImageClassification\"]"}, "other tasks");
  rows.restricted("problem_type", {"\"single_label_classification\""}, "several labels per image, regression");
  rows.silent({"do_pooling", "dtype", "initializer_range", "label_descriptions", "note", "notes", "torch_dtype",
               "transformers_version"});
}

void fields::add_pretrained_cfg(std::vector<Field>& fields) {
  Rows rows{.list = fields, .form = Form::pretrained_cfg};
  rows.honoured("fixed_input_size", "true: model_args.img_size, where stated, stands above input_size",
                [](const json& v, Reading& r) { r.has_fixed_input_size = flag(v); });
  rows.honoured("input_size", "[channels, side, side]; the side to which photographs are cut", read_input_size);
  rows.honoured("mean", "of pixels in [0, 1], one per channel",
                [](const json& v, Reading& r) { r.config.preprocessing.mean = numbers(v); });
  rows.honoured("std", "of pixels in [0, 1], one per channel",
                [](const json& v, Reading& r) { r.config.preprocessing.std = all_positive(numbers(v)); });
  rows.honoured("interpolation", "nearest, box, bilinear, hamming, bicubic, lanczos as Pillow has them; bicubic if absent",
                [](const json& v, Reading& r) { r.config.preprocessing.interpolation = word(v); });
  rows.honoured("crop_pct", "share of the resized side that is kept; 0.875 if absent",
                [](const json& v, Reading& r) { r.config.preprocessing.crop_pct = positive(v); });
  rows.honoured("crop_mode", "center: shorter side resized; squash: both; border: longer, and padded",
                [](const json& v, Reading& r) { r.config.preprocessing.resize = resize_of_crop_mode(v); });
  rows.honoured("num_classes", "compared with the weights unless it stands outside as well", [](const json& v, Reading& r) {
    const bool stands_outside = std::ranges::any_of(r.config.stated, [](const StatedNumber& s) { return s.what == "classes"; });
    if (!stands_outside) state(r, "classes", whole_or_none(v), "pretrained_cfg.num_classes");
  });
  rows.honoured("label_names", "the names of the classes, where they do not stand outside", [](const json& v, Reading& r) {
    if (r.config.class_names.empty()) r.config.class_names = class_names(v);
  });
  rows.honoured("tag", "of a tower of CLIP or SigLIP: without \"ft\" the head makes an embedding, and no classes",
                [](const json& v, Reading& r) { r.config.gives_embedding = is_embedding_tag(r, word(v)); });
  rows.restricted("label_offset", {"0"}, "a head with more rows than classes");
  rows.silent({"architecture", "classifier",      "custom_load",     "description",        "epochs*",    "file",
               "first_conv",   "hf_hub_filename", "hf_hub_id",       "label_descriptions", "license",    "min_input_size",
               "note",         "notes",           "origin_url",      "paper_ids",          "paper_name", "pool_size",
               "source",       "test_crop_pct",   "test_input_size", "test_pool_size",     "top1*",      "top5*",
               "url"});
}

void fields::add_model_args(std::vector<Field>& fields) {
  Rows rows{.list = fields, .form = Form::model_args, .where = "model_args."};
  add_sizes(rows);
  rows.honoured("global_pool", "how tokens are pooled, where global_pool does not stand outside",
                [](const json& v, Reading& r) {
                  if (!r.config.pooling) read_pooling(v, r);
                });
  rows.honoured("act_layer", "the activation", [](const json& v, Reading& r) { r.config.activation = activation(v); });
  rows.honoured("norm_layer", "layernorm or rmsnorm; compared with the weights", [](const json& v, Reading& r) {
    const std::string name = word(v);
    const bool centred = name == "layernorm" || name == "LayerNorm" || name == "layer_norm";
    if (!centred && name != "rmsnorm" && name != "RmsNorm") throw BadInput("is not built");
    state(r, "root mean square", !centred, "model_args.norm_layer");
  });
  rows.honoured("norm_eps", "epsilon of every norm", [](const json& v, Reading& r) { r.config.epsilon = positive(v); });
  rows.honoured("qkv_bias", "true: the weights must have it; false: they must not",
                [](const json& v, Reading& r) { r.config.qkv_bias = flag(v); });
  rows.compared({"reg_tokens", "num_reg_tokens"}, whole_or_none, "registers");
  rows.honoured("attn_pool_num_heads", "the number of heads of attention pooling",
                [](const json& v, Reading& r) { r.config.pooling_heads = whole(v); });
  add_stated_parts(rows);
  rows.told_by_weights({"attn_pool_mlp_ratio", "final_norm", "mlp_layer", "no_embed_class", "proj_bias", "qkv_fused",
                        "swiglu_align_to", "use_abs_pos_emb", "window_size", "use_post_transformer_norm", "use_rel_pos_bias"});
  add_rotation(rows);
  add_convolutions(rows);
  add_restricted(rows);
  rows.silent({"attn_drop_rate", "device", "drop_path_rate", "drop_rate", "dtype", "dynamic_img_pad", "dynamic_img_size",
               "fix_init", "head_init_scale", "patch_drop_rate", "pos_drop_rate", "proj_drop_rate", "rope_jitter_coords",
               "rope_rescale_coords", "rope_shift_coords", "strict_img_size", "weight_init"});
}

}  // namespace eidolon
