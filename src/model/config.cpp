#include "model/config.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "storage/atomic_file.h"

namespace eidolon {
namespace {

using nlohmann::json;

json read_json(const std::filesystem::path& path) {
  if (!std::filesystem::is_regular_file(path)) {
    throw BadInput(path.string() + " is not there; a teacher is a folder with model.safetensors and config.json");
  }
  json parsed = json::parse(read_text(path), nullptr, false);
  if (!parsed.is_object()) throw BadInput(path.string() + " is not a JSON object; download it again");
  return parsed;
}

std::optional<int64_t> integer(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer()) return std::nullopt;
  return found->get<int64_t>();
}

json object_at(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_object() ? *found : json::object();
}

/// Names by class index, of a list or of an object {"0": name}; empty unless they are texts for 0 ... n - 1 without a gap.
std::vector<std::string> class_names(const json& labels) {
  std::vector<std::string> names;
  for (size_t index = 0; index < labels.size(); ++index) {
    const std::string key = std::to_string(index);
    const json name = labels.is_array() ? labels[index] : labels.value(key, json());
    if (!name.is_string()) return {};
    names.push_back(name.get<std::string>());
  }
  return names;
}

void read_timm(const json& config, ModelConfig& result) {
  const json pretrained = object_at(config, "pretrained_cfg"), arguments = object_at(config, "model_args");
  result.heads = integer(arguments, "num_heads");
  result.classes = integer(config, "num_classes");
  result.width = integer(config, "num_features");
  result.depth = integer(arguments, "depth");
  result.patch_size = integer(arguments, "patch_size");
  result.pooling = config.value("global_pool", std::string("token"));
  for (const json* holder : {&pretrained, &config}) {
    const auto labels = holder->find("label_names");
    if (labels != holder->end() && (labels->is_array() || labels->is_object())) result.class_names = class_names(*labels);
  }
  result.preprocessing.mean = pretrained.at("mean").get<std::vector<double>>();
  result.preprocessing.std = pretrained.at("std").get<std::vector<double>>();
  result.preprocessing.crop_pct = pretrained.value("crop_pct", 0.875);
  result.preprocessing.interpolation = pretrained.value("interpolation", std::string("bicubic"));
  const auto size = pretrained.at("input_size").get<std::vector<int64_t>>();
  result.channels = size.at(0);
  result.image_size = size.at(1);
}

/// Hugging Face: the processor resizes the image straight to the model's size, without a crop.
void read_hugging_face(const json& config, const json& processor, ModelConfig& result) {
  result.heads = integer(config, "num_attention_heads");
  result.width = integer(config, "hidden_size");
  result.depth = integer(config, "num_hidden_layers");
  result.image_size = integer(config, "image_size");
  result.patch_size = integer(config, "patch_size");
  result.channels = integer(config, "num_channels");
  result.layer_norm_epsilon = config.value("layer_norm_eps", 1e-12);
  if (const json labels = object_at(config, "id2label"); !labels.empty()) {
    result.classes = static_cast<int64_t>(labels.size());
    result.class_names = class_names(labels);
  }
  result.preprocessing.mean = processor.at("image_mean").get<std::vector<double>>();
  result.preprocessing.std = processor.at("image_std").get<std::vector<double>>();
  result.preprocessing.crop_pct = 1.0;
  result.preprocessing.interpolation = processor.value("resample", 2) == 3 ? "bicubic" : "bilinear";  // PIL's numbers
}

void check_preprocessing(const Preprocessing& p, const std::string& file) {
  const auto positive = [](double value) { return std::isfinite(value) && value > 0; };
  if (p.mean.empty() || p.mean.size() != p.std.size()) throw BadInput(file + ": mean and std must have one entry per channel");
  for (size_t channel = 0; channel < p.std.size(); ++channel) {
    if (!positive(p.std[channel]) || !std::isfinite(p.mean[channel]))
      throw BadInput(file + ": mean or std is not a positive number");
  }
  if (!positive(p.crop_pct)) throw BadInput(file + ": crop_pct must be positive");
  if (p.interpolation != "bicubic" && p.interpolation != "bilinear") {
    throw BadInput(file + ": interpolation '" + p.interpolation + "' is not built; bicubic and bilinear are");
  }
}

}  // namespace

ModelConfig read_model_config(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "config.json";
  const json config = read_json(path);
  ModelConfig result;
  try {
    result.architecture = config.value("architecture", config.value("model_type", std::string("unnamed")));
    if (config.contains("pretrained_cfg")) {
      read_timm(config, result);
    } else {
      read_hugging_face(config, read_json(folder / "preprocessor_config.json"), result);
    }
  } catch (const std::exception& error) {
    if (dynamic_cast<const Error*>(&error) != nullptr) throw;
    throw BadInput(path.string() + ": " + error.what() + "; it must state mean, std and input size the way timm " +
                   "(pretrained_cfg) or Hugging Face (preprocessor_config.json) does");
  }
  check_preprocessing(result.preprocessing, path.string());
  return result;
}

}  // namespace eidolon
