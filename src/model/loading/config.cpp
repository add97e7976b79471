#include "model/loading/config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/bounded_json.h"
#include "base/error.h"
#include "model/loading/fields/fields.h"
#include "storage/atomic_file.h"

namespace eidolon {
namespace {

using nlohmann::json;

json read_json(const std::filesystem::path& path) {
  std::string text = read_text(path);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);  // a UTF-8 byte order mark, which editors on Windows add
  json parsed = bounded_json(text);
  if (!parsed.is_object()) throw BadInput(path.string() + " is not a JSON object; write it again with the library it is from");
  return parsed;
}

/// A value as it stands in the file, short enough for one line.
std::string shown(const json& value) {
  const std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true, json::error_handler_t::replace);
  return text.size() <= 60 ? text : text.substr(0, 60) + "...";
}

std::string built(const Field& field) {
  std::string values;
  for (const std::string& value : field.values) values += (values.empty() ? "" : " or ") + value;
  return values.empty() ? "nothing is built for it (" + field.text + ")" : "built is " + values;
}

/// "top1*" stands for all names that begin so.
bool is_named(const Field& field, const std::string& name) {
  return field.name.ends_with('*') ? name.starts_with(field.name.substr(0, field.name.size() - 1)) : name == field.name;
}

/// Reads every field of an object by the first row of these forms that knows it. `where` goes in front of a field's name.
void walk(const json& object, std::initializer_list<Form> forms, const std::string& where, Reading& reading) {
  std::vector<std::string>& refused = reading.config.refused;
  for (const auto& [name, value] : object.items()) {
    if (value.is_null()) continue;  // both libraries read null as not stated
    const auto& all = config_fields();
    auto field = all.end();
    for (const Form form : forms) {
      if (field != all.end()) break;
      field = std::ranges::find_if(all, [&](const Field& f) { return f.form == form && is_named(f, name); });
    }
    const std::string full_name = where + shown(name).substr(1, shown(name).size() - 2);
    if (field == all.end()) {
      refused.push_back(full_name + " is not known; remove it if it says nothing of what the model computes");
    } else if (field->treatment == Treatment::restricted) {
      const bool is_built = std::ranges::any_of(field->values, [&](const std::string& v) { return json::parse(v) == value; });
      if (!is_built) refused.push_back(full_name + " is " + shown(value) + ", " + built(*field));
    } else if (field->treatment == Treatment::honoured) {
      try {
        field->read(value, reading);
      } catch (const BadInput& error) {
        refused.push_back(full_name + " " + shown(value) + " " + error.what());
      }
    }
  }
}

void require(const json& object, std::initializer_list<const char*> names, const std::string& where, Reading& reading) {
  for (const char* name : names) {
    if (object.value(name, json()).is_null()) reading.config.refused.push_back(where + name + " is missing");
  }
}

/// The share of which floor(crop / share) gives `side` back, which crop / side need not.
double share_of(int64_t crop, int64_t side) {
  const auto wanted = static_cast<double>(crop);
  double share = wanted / static_cast<double>(side);
  while (std::floor(wanted / share) < static_cast<double>(side)) share = std::nextafter(share, 0.0);
  return share;
}

void read_timm(const json& config, Reading& reading) {
  reading.config.preprocessing.crop_pct = 0.875;  // timm's own, as bicubic is
  const bool is_flat = !config.contains("pretrained_cfg");
  const json pretrained = is_flat ? config : config["pretrained_cfg"];
  json outside = config;
  outside.erase("pretrained_cfg");
  const json arguments = outside.value("model_args", json());
  outside.erase("model_args");
  for (const auto& [name, part] : {std::pair{"pretrained_cfg", &pretrained}, std::pair{"model_args", &arguments}}) {
    if (!part->is_object() && !part->is_null()) reading.config.refused.push_back(std::string(name) + " is not an object");
  }
  if (arguments.is_object()) walk(arguments, {Form::model_args}, "model_args.", reading);
  if (is_flat) {
    walk(outside, {Form::timm, Form::pretrained_cfg}, "", reading);
    require(outside, {"input_size", "mean", "std"}, "", reading);
  } else {
    walk(outside, {Form::timm}, "", reading);
    if (!pretrained.is_object()) return;
    walk(pretrained, {Form::pretrained_cfg}, "pretrained_cfg.", reading);
    require(pretrained, {"input_size", "mean", "std"}, "pretrained_cfg.", reading);
  }
  ModelConfig& result = reading.config;
  result.resamples_positions = reading.states_image_size;
  if (reading.rotates) {
    result.rotation = reading.rotation;
    if (result.rotation->kind.empty()) result.rotation->kind = "cat";
  }
  result.named = timm_name(result.architecture);
  // Of a transformer in stages embed_dim is the width of the first.
  const bool has_stages = std::ranges::find(result.stated_lists, "depths", &StatedList::what) != result.stated_lists.end();
  for (StatedNumber& stated : result.stated) {
    if (has_stages && stated.field == "model_args.embed_dim") stated.what = "embedding width";
  }
  // Where the config states a width of its own, timm builds it with all else that the name says.
  if (result.named && reading.states_width) {
    const auto width = std::ranges::find(result.stated, "model_args.embed_dim", &StatedNumber::field);
    if (width != result.stated.end()) result.named->width = width->value;
  }
}

/// One entry per channel of what may stand as one for all.
std::vector<double> spread(const std::vector<double>& values, int64_t channels) {
  return values.size() == 1 ? std::vector<double>(static_cast<size_t>(channels), values[0]) : values;
}

/// A pixel p in [0, 1] is the byte 255 p, which the processor multiplies by its factor before it normalises.
void set_normalisation(const Processor& processor, int64_t channels, Preprocessing& result) {
  double factor = 255.0 * (processor.does_rescale ? processor.rescale_factor : 1.0);
  if (std::abs(factor - 1.0) < 1e-12) factor = 1.0;  // 1/255 in decimal digits
  result.mean = processor.does_normalize ? spread(processor.mean, channels) : spread({0.0}, channels);
  result.std = processor.does_normalize ? spread(processor.std, channels) : spread({1.0}, channels);
  for (double& value : result.mean) value /= factor;
  for (double& value : result.std) value /= factor;
}

void set_resize(const Processor& processor, Reading& reading) {
  constexpr std::array<const char*, 6> filters{"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"};
  std::vector<std::string>& refused = reading.config.refused;
  if (!processor.does_resize) {
    refused.push_back("do_resize is false, and photographs have no size of their own that the model takes; state size");
  }
  if (processor.keeps_aspect && !processor.does_crop) {
    refused.push_back(
        "size.shortest_edge stands without do_center_crop, which leaves pictures that are not square; state "
        "do_center_crop and crop_size, or size as height and width");
  }
  if (processor.does_crop && processor.crop == 0) {
    refused.push_back("do_center_crop stands without crop_size; state it");
    return;
  }
  const int64_t side = processor.does_crop ? processor.crop : processor.side;
  if (processor.does_crop && processor.crop > processor.side) {
    refused.push_back("crop_size " + std::to_string(processor.crop) + " is larger than size " + std::to_string(processor.side) +
                      ", and the border around the picture is not built");
    return;
  }
  Preprocessing& result = reading.config.preprocessing;
  if (reading.config.resamples_positions) {
    std::erase_if(reading.config.stated, [](const StatedNumber& stated) { return stated.what == "image size"; });
  }
  reading.config.stated.push_back(
      {"image size", side, processor.does_crop ? "crop_size of the processor" : "size of the processor"});
  result.image_size = side;
  result.crop_pct = share_of(side, processor.side);
  result.resize = processor.keeps_aspect ? "shorter side" : "both sides";
  result.crop_offset = "down";
  result.interpolation = filters[static_cast<size_t>(processor.resample)];
}

/// Below 384 pixels the shorter side becomes int(size / crop_pct), and the size is cut out; from there on both sides are
/// resized.
void cut_as_convnext(Processor& processor) {
  constexpr int64_t whole_from = 384;
  if (processor.share == 0) return;
  processor.keeps_aspect = processor.does_crop = processor.side < whole_from;
  if (!processor.does_crop) return;
  processor.crop = processor.side;
  processor.side = static_cast<int64_t>(static_cast<double>(processor.side) / processor.share);
}

struct ProcessorFile {
  std::string name;  ///< as it goes in front of a field
  json fields;
};

/// image_processor of processor_config.json goes before preprocessor_config.json, as in transformers.
ProcessorFile read_processor(const std::filesystem::path& folder) {
  const std::filesystem::path combined = folder / "processor_config.json", alone = folder / "preprocessor_config.json";
  if (std::filesystem::is_regular_file(combined)) {
    const json fields = read_json(combined);
    if (fields.contains("image_processor")) return {"processor_config.json: image_processor.", fields["image_processor"]};
  }
  if (std::filesystem::is_regular_file(alone)) return {"preprocessor_config.json: ", read_json(alone)};
  throw BadInput(folder.string() + " has a Hugging Face config.json but neither preprocessor_config.json nor " +
                 "processor_config.json, which state how images are prepared; write one with ViTImageProcessor(...)" +
                 ".save_pretrained(folder), or copy that of the model it was fine-tuned from");
}

void read_hugging_face(const json& config, const std::filesystem::path& folder, Reading& reading) {
  ModelConfig& result = reading.config;
  result.library = "transformers";
  result.architecture = "vit";
  json outside = config;
  outside.erase("vision_config");
  if (!outside.contains("model_type")) outside["model_type"] = "vit";
  walk(outside, {Form::hugging_face}, "", reading);
  json fields_of_model = outside;
  if (const json tower = config.value("vision_config", json()); tower.is_object()) {
    walk(tower, {Form::hugging_face}, "vision_config.", reading);
    fields_of_model = tower;
  }
  if (fields_of_model.contains("hidden_size") && !fields_of_model.contains("num_heads"))
    require(fields_of_model, {"num_attention_heads"}, "", reading);
  if (!result.heads) result.heads = reading.default_heads;
  if (result.architecture == "swin" || result.architecture == "resnet") result.heads.reset();
  if (result.architecture == "resnet")
    std::erase_if(result.stated_lists, [](const StatedList& list) { return list.what == "depths"; });
  if (reading.has_silu_gate) result.activation = "silu";
  if (!reading.rotation.kind.empty()) result.rotation = reading.rotation;
  if (reading.task.starts_with("Dinov2") && !result.headless) result.pooling = "token and mean";
  if (result.headless) {
    std::erase_if(result.stated, [](const StatedNumber& stated) { return stated.what == "classes"; });
    result.class_names.clear();
  }

  const auto [file, fields] = read_processor(folder);
  if (!fields.is_object()) {
    reading.config.refused.push_back(file + " is not an object");
    return;
  }
  for (const char* name : {"feature_extractor_type", "image_processor_type"}) {
    const json type = fields.value(name, json());
    if (const auto known = processor_of_class(type.is_string() ? type.get<std::string>() : "")) reading.processor = *known;
  }
  const size_t before = reading.config.refused.size();
  walk(fields, {Form::processor}, file, reading);
  cut_as_convnext(reading.processor);
  if (reading.config.refused.size() > before) return;
  const auto channels = std::ranges::find(reading.config.stated, "channels", &StatedNumber::what);
  set_normalisation(reading.processor, channels == reading.config.stated.end() ? 3 : channels->value,
                    reading.config.preprocessing);
  set_resize(reading.processor, reading);
}

void check_preprocessing(const Preprocessing& p, std::vector<std::string>& refused) {
  if (p.mean.empty() || p.mean.size() != p.std.size()) refused.push_back("mean and std must have one entry per channel");
  const auto usable = [](double value) { return std::isfinite(value); };
  const bool are_usable = std::ranges::all_of(p.mean, usable) && std::ranges::all_of(p.std, usable) &&
                          std::ranges::all_of(p.std, [](double value) { return value > 0; });
  if (!are_usable) refused.push_back("mean and std are no finite numbers, or std is not positive");
  if (!(p.crop_pct >= 0.05 && p.crop_pct <= 20)) refused.push_back("crop_pct must lie between 0.05 and 20");
  constexpr std::array<const char*, 6> filters{"nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"};
  if (std::ranges::none_of(filters, [&](const char* filter) { return p.interpolation == filter; })) {
    refused.push_back("interpolation '" + p.interpolation + "' is not built; Pillow's six are");
  }
}

}  // namespace

std::optional<int64_t> stated(const ModelConfig& config, const std::string& what) {
  const auto found = std::ranges::find(config.stated, what, &StatedNumber::what);
  return found == config.stated.end() ? std::nullopt : std::optional(found->value);
}

bool has_timm_form(const nlohmann::ordered_json& config) {
  return config.contains("pretrained_cfg") || (config.contains("architecture") && !config.contains("model_type"));
}

ModelConfig read_model_config(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "config.json";
  if (!std::filesystem::is_regular_file(path)) {
    throw BadInput(path.string() + " is not there; a teacher is a folder with model.safetensors and config.json");
  }
  const json config = read_json(path);
  Reading reading;
  reading.config.architecture = "unnamed";
  const bool is_timm = has_timm_form(config);
  if (!is_timm && !config.contains("model_type") && !config.contains("hidden_size")) {
    throw BadInput(path.string() + " is neither timm's form (architecture, pretrained_cfg) nor Hugging Face's (model_type, " +
                   "hidden_size); docs/reference/model_folder.md describes both");
  }
  if (is_timm) {
    read_timm(config, reading);
  } else {
    read_hugging_face(config, folder, reading);
  }
  const std::filesystem::path description = folder / "description.json";
  if (std::filesystem::is_regular_file(description)) {
    walk(read_json(description), {Form::description}, "description.json: ", reading);
  }
  check_preprocessing(reading.config.preprocessing, reading.config.refused);
  return reading.config;
}

}  // namespace eidolon
