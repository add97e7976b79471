#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
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

/// What a class's fields are where the file is silent.
struct ProcessorClass {
  std::string_view name;  ///< "ViT" of ViTImageProcessor, ViTImageProcessorFast and ViTFeatureExtractor
  Processor defaults;
};

const std::vector<ProcessorClass>& processor_classes() {
  static const std::vector<double> imagenet_mean{0.485, 0.456, 0.406}, imagenet_std{0.229, 0.224, 0.225};
  static const std::vector<double> clip_mean{0.48145466, 0.4578275, 0.40821073}, clip_std{0.26862954, 0.26130258, 0.27577711};
  static const Processor clip{.does_crop = true,
                              .keeps_aspect = true,
                              .whole_number_is_a_square = false,
                              .crop = 224,
                              .resample = 3,
                              .mean = clip_mean,
                              .std = clip_std};
  static const std::vector<ProcessorClass> all{
      {"ViT", {}},
      {"DeiT", {.does_crop = true, .side = 256, .crop = 224, .resample = 3}},
      {"Beit", {.does_crop = true, .side = 256, .crop = 224, .resample = 3}},
      {"CLIP", clip},
      {"Bit", clip},
      {"Siglip", {.resample = 3}},
      {"DINOv3ViT", {.mean = imagenet_mean, .std = imagenet_std}},
      {"ConvNext",
       {.keeps_aspect = true, .side = 384, .resample = 2, .mean = imagenet_mean, .std = imagenet_std, .share = 0.875}},
  };
  return all;
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

}  // namespace

void fields::add_processor(std::vector<Field>& fields) {
  Rows rows{.list = fields, .form = Form::processor};
  rows.honoured({"image_processor_type", "feature_extractor_type"},
                "ImageProcessor(Fast) or FeatureExtractor of ViT, DeiT, Beit, CLIP, Bit, Siglip, DINOv3ViT or "
                "ConvNext; gives absent fields",
                [](const json& v, Reading&) {
                  if (!processor_of_class(word(v)))
                    throw BadInput("is not built; those of ViT, DeiT, Beit, CLIP, Bit, Siglip, DINOv3ViT and ConvNext are");
                });
  rows.honoured("do_resize", "must be true, since a model takes one size only",
                [](const json& v, Reading& r) { r.processor.does_resize = flag(v); });
  rows.honoured("size", "height and width: both sides are resized, to a square; shortest_edge: with do_center_crop",
                [](const json& v, Reading& r) { read_size(v, r.processor); });
  rows.honoured("default_to_square", "whether a plain number in size means height and width",
                [](const json& v, Reading& r) { r.processor.whole_number_is_a_square = flag(v); });
  rows.honoured("resample", "0 nearest, 1 lanczos, 2 bilinear, 3 bicubic, 4 box, 5 hamming, as Pillow has them",
                [](const json& v, Reading& r) {
                  if (v != json(0)) whole(v);
                  r.processor.resample = v.get<int64_t>();
                  if (r.processor.resample > 5) throw BadInput("is not one of Pillow's filters, 0 to 5");
                });
  rows.honoured("do_center_crop", "whether crop_size is cut from the centre",
                [](const json& v, Reading& r) { r.processor.does_crop = flag(v); });
  rows.honoured("crop_size", "the side that is cut out, at most the resized side",
                [](const json& v, Reading& r) { r.processor.crop = crop_side(v); });
  rows.honoured("crop_pct", "of ConvNext's: below 384 pixels size / crop_pct is resized, and size cut out",
                [](const json& v, Reading& r) {
                  if (r.processor.share == 0) throw BadInput("is of ConvNext's processor alone");
                  r.processor.share = positive(v);
                  if (r.processor.share < 0.05 || r.processor.share > 20) throw BadInput("does not lie between 0.05 and 20");
                });
  rows.honoured("do_rescale", "goes into mean and std", [](const json& v, Reading& r) { r.processor.does_rescale = flag(v); });
  rows.honoured("rescale_factor", "goes into mean and std",
                [](const json& v, Reading& r) { r.processor.rescale_factor = positive(v); });
  rows.honoured("do_normalize", "false: mean 0 and std 1",
                [](const json& v, Reading& r) { r.processor.does_normalize = flag(v); });
  rows.honoured("image_mean", "one per channel, or one for all",
                [](const json& v, Reading& r) { r.processor.mean = per_channel(v); });
  rows.honoured("image_std", "one per channel, or one for all",
                [](const json& v, Reading& r) { r.processor.std = all_positive(per_channel(v)); });
  rows.restricted("do_pad", {"false"}, "padding");
  rows.restricted("do_reduce_labels", {"false"}, "labels that count from one");
  rows.restricted("reduce_labels", {"false"}, "labels that count from one");
  rows.restricted("do_flip_channel_order", {"false"}, "blue before red");
  rows.restricted("auto_map", {}, "code of the model's own");
  rows.restricted({"data_format", "input_data_format"}, {"\"channels_first\""}, "tensors with the channels last");
  rows.silent({"_processor_class", "_valid_processor_keys", "device", "disable_grouping", "do_convert_rgb", "image_seq_length",
               "pad_size", "processor_class", "return_tensors", "transformers_version"});
}

std::optional<Processor> processor_of_class(const std::string& name) {
  for (const ProcessorClass& known : processor_classes()) {
    for (const std::string_view ending : {"ImageProcessor", "ImageProcessorFast", "FeatureExtractor"}) {
      if (name.size() == known.name.size() + ending.size() && name.starts_with(known.name) && name.ends_with(ending)) {
        return known.defaults;
      }
    }
  }
  return std::nullopt;
}

}  // namespace eidolon
