#include "model/loading/published_folder.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/bounded_json.h"
#include "base/error.h"
#include "model/loading/config.h"
#include "model/loading/key_mapping.h"

namespace eidolon {
namespace {

using nlohmann::ordered_json;

int64_t resized_side(const Preprocessing& preprocessing) {
  return static_cast<int64_t>(std::floor(static_cast<double>(preprocessing.image_size) / preprocessing.crop_pct));
}

/// What timm reads of the preparation of photographs.
ordered_json preparation_of(const Preprocessing& p) {
  const char* mode = p.resize == "both sides" ? "squash" : p.resize == "longer side" ? "border" : "center";
  return {{"input_size", {p.channels(), p.image_size, p.image_size}},
          {"interpolation", p.interpolation},
          {"crop_pct", p.crop_pct},
          {"crop_mode", mode},
          {"mean", p.mean},
          {"std", p.std}};
}

/// timm's form with pretrained_cfg, which transformers' wrapper needs; of the old flat form all that belongs there.
ordered_json timm_config(const ordered_json& teacher, int64_t classes, const Preprocessing& preprocessing) {
  constexpr std::array outside{"architecture", "num_features",       "global_pool",
                               "label_names",  "label_descriptions", "model_args"};
  const bool is_flat = !teacher.contains("pretrained_cfg");
  ordered_json config{{"architectures", {"TimmWrapperForImageClassification"}}, {"model_type", "timm_wrapper"}};
  ordered_json pretrained = is_flat ? ordered_json::object() : teacher["pretrained_cfg"];
  for (const auto& [name, value] : teacher.items()) {
    const bool stays = std::ranges::any_of(outside, [&, &key = name](const char* known) { return key == known; });
    if (stays) config[name] = value;
    if (!stays && is_flat) pretrained[name] = value;
  }
  pretrained.update(preparation_of(preprocessing));
  pretrained["num_classes"] = config["num_classes"] = classes;
  config["pretrained_cfg"] = pretrained;
  return config;
}

ordered_json hugging_face_config(ordered_json config) {
  config["architectures"] = {"ViTForImageClassification"};
  config["model_type"] = "vit";
  config.erase("torch_dtype");
  return config;
}

/// Pillow's number of a filter, as processors have it.
int64_t resample_of(const std::string& interpolation) {
  constexpr std::array filters{"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"};
  return std::ranges::find_if(filters, [&](const char* filter) { return interpolation == filter; }) - filters.begin();
}

ordered_json processor_of(const Preprocessing& p) {
  if (p.resize == "longer side") return nullptr;
  const int64_t resized = resized_side(p), side = p.image_size;
  const bool keeps_aspect = p.resize == "shorter side", cuts = keeps_aspect || resized != side;
  if (resized < side) return nullptr;
  ordered_json processor{{"image_processor_type", cuts ? "CLIPImageProcessor" : "ViTImageProcessor"}};
  processor["do_resize"] = true;
  if (keeps_aspect) {
    processor["size"] = {{"shortest_edge", resized}};
  } else {
    processor["size"] = {{"height", resized}, {"width", resized}};
  }
  processor["resample"] = resample_of(p.interpolation);
  if (cuts) {
    processor["do_center_crop"] = true;
    processor["crop_size"] = {{"height", side}, {"width", side}};
  }
  processor.update({{"do_rescale", true}, {"rescale_factor", 1.0 / 255.0}, {"do_normalize", true}});
  processor["image_mean"] = p.mean;
  processor["image_std"] = p.std;
  return processor;
}

std::vector<std::string> timm_names(const std::string& name) {
  return {name};
}

}  // namespace

PublishedFolder published_folder(const std::string& teacher_config, int64_t classes, const Preprocessing& preprocessing) {
  const ordered_json teacher = bounded_json<ordered_json>(teacher_config);
  if (!teacher.is_object()) throw Fault("the teacher's config.json, which was read before, is no JSON object any more");
  const bool is_timm = has_timm_form(teacher);
  PublishedFolder folder{.library = is_timm ? "timm" : "transformers",
                         .architecture = {},
                         .config = is_timm ? timm_config(teacher, classes, preprocessing) : hugging_face_config(teacher),
                         .processor = processor_of(preprocessing),
                         .names = is_timm ? timm_names : to_hugging_face};
  folder.config["dtype"] = "float32";
  folder.architecture = folder.config.value(is_timm ? "architecture" : "model_type", "unnamed");
  return folder;
}

}  // namespace eidolon
