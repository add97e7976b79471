#include "model/loading/teacher.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "cluster/broadcast_tensors.h"
#include "cluster/log.h"
#include "cluster/on_root.h"
#include "model/families/families.h"
#include "model/loading/config.h"
#include "model/loading/key_mapping.h"
#include "model/loading/weight_files.h"
#include "model/shape_text.h"
#include "storage/safetensors.h"

namespace eidolon {
namespace {

/// One line for many names: the first few and how many more.
std::string listed(const std::vector<std::string>& names, const char* between = ", ") {
  std::string text;
  for (size_t i = 0; i < names.size() && i < 12; ++i) text += (i ? between : "") + names[i];
  if (names.size() > 12) text += " and " + std::to_string(names.size() - 12) + " more";
  return text;
}

/// std::regex recurses once per character, so a name of a damaged file could exhaust the stack.
void refuse_long_names(const TensorMap& tensors, const std::string& file) {
  for (const auto& [name, tensor] : tensors) {
    if (name.size() > 1000) {
      throw BadInput(file + ": the name of a parameter has " + std::to_string(name.size()) +
                     " characters; this is not a ViT or DeiT with timm or Hugging Face names");
    }
  }
}

/// What timm's name says, before names and shapes that no family has are looked at.
void refuse_named(const ModelConfig& config, const std::string& file) {
  if (config.named && !config.named->missing.empty()) {
    throw BadInput(file + ": timm's '" + config.architecture + "' has " + std::string(config.named->missing) +
                   ", which is not built; docs/reference/models.md lists what is");
  }
}

void refuse_unsupported(const TensorMap& tensors, const ModelConfig& config, const std::string& file) {
  for (const auto& [name, tensor] : tensors) {
    const std::string feature = unsupported_feature(name);
    if (!feature.empty()) {
      throw BadInput(file + ": architecture '" + config.architecture + "' has " + feature + " (parameter '" + name +
                     "'), which is not built; docs/reference/models.md lists what is");
    }
  }
}

/// All that the config asks for and that is not built, at once.
void refuse_fields(const ModelConfig& config, const std::filesystem::path& folder) {
  if (config.refused.empty()) return;
  throw BadInput((folder / "config.json").string() + " of '" + config.architecture + "': " + listed(config.refused, "; ") +
                 "; docs/reference/model_folder.md says what is done with each field");
}

/// A number that the config states is compared with the plan's fact of that name: "image size" with "image_size".
void refuse_contradictions(const Plan& plan, const ModelConfig& config, const std::filesystem::path& folder) {
  const nlohmann::json facts = nlohmann::json::parse(plan.facts);
  const auto fact = [&](std::string what) {
    if (what == "class token") return std::min<int64_t>(facts.value("class_tokens", int64_t{0}), 1);
    std::ranges::replace(what, ' ', '_');
    if (!facts.contains(what)) return int64_t{0};  // a part that the family does not have
    const nlohmann::json& value = facts[what];
    return value.is_boolean() ? int64_t{value.get<bool>()} : value.get<int64_t>();
  };
  const auto refuse = [&](const std::string& what, const std::string& value, int64_t actual, const std::string& field) {
    throw BadInput((folder / "config.json").string() + " states " + what + " " + value + " (" + field +
                   "), but the weights have " + std::to_string(actual) + "; the two do not belong together");
  };
  for (const StatedNumber& stated : config.stated) {
    if (stated.what == "image size" && config.image_size > 0) continue;
    if (stated.what == "classes" && !config.output.empty()) continue;
    if (stated.value != fact(stated.what)) refuse(stated.what, std::to_string(stated.value), fact(stated.what), stated.field);
  }
  for (const StatedList& stated : config.stated_lists) {
    const auto actual = facts.value(stated.what, std::vector<int64_t>{});
    if (stated.values == actual) continue;
    throw BadInput((folder / "config.json").string() + " states " + stated.what + " " + nlohmann::json(stated.values).dump() +
                   " (" + stated.field + "), but the weights have " + nlohmann::json(actual).dump() +
                   "; the two do not belong together");
  }
  if (config.mlp_ratio && facts.contains("hidden_width") && !facts.value("gated", false)) {
    const int64_t width = fact("width"), hidden = fact("hidden width");
    if (std::trunc(static_cast<double>(width) * *config.mlp_ratio) != static_cast<double>(hidden)) {
      refuse("hidden width", std::to_string(width) + " x " + std::to_string(*config.mlp_ratio), hidden, "model_args.mlp_ratio");
    }
  }
  const int64_t channels = config.preprocessing.channels();
  if (channels != plan.channels) refuse("channels", std::to_string(channels), plan.channels, "length of mean");
}

void refuse_wrong_keys(const TensorMap& tensors, const Plan& plan, const std::string& file) {
  std::vector<std::string> missing, unexpected, misshapen;
  for (const auto& [name, shape] : plan.parameters) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      missing.push_back(name);
    } else if (found->second.sizes() != at::IntArrayRef(shape)) {
      misshapen.push_back(name + " " + shape_text(found->second.sizes()) + " instead of " + shape_text(shape));
    }
  }
  for (const auto& [name, tensor] : tensors) {
    if (!plan.parameters.contains(name)) unexpected.push_back(name);
  }
  if (missing.empty() && unexpected.empty() && misshapen.empty()) return;
  std::string message = file + " does not hold the parameters of one network of the family '" + plan.family + "':";
  if (!missing.empty()) message += " missing " + listed(missing) + ";";
  if (!unexpected.empty()) message += " unexpected " + listed(unexpected) + ";";
  if (!misshapen.empty()) message += " misshapen " + listed(misshapen) + ";";
  throw BadInput(message + " nothing was loaded");
}

TensorMap widened(const TensorMap& tensors, const std::string& file) {
  TensorMap result;
  for (const auto& [name, tensor] : tensors) {
    if (!at::isFloatingType(tensor.scalar_type())) {
      throw BadInput(file + ": parameter '" + name + "' holds integers; the teacher must be a float model");
    }
    const Tensor wide = tensor.to(at::kFloat).contiguous();
    if (!wide.isfinite().all().item<bool>()) {
      throw BadInput(file + ": parameter '" + name + "' contains NaN or Inf; the weights are damaged");
    }
    result[name] = wide;
  }
  return result;
}

/// "class_embeddings", classes x D, of any length, times "logit_scale", which multiplies the cosines (CLIP's exp(4.6) = 100 if
/// absent): what a text tower makes of "a photo of a dog" and of the other classes.
Tensor read_class_embeddings(const std::filesystem::path& file) {
  const TensorMap tensors = widened(read_safetensors(file).tensors, file.string());
  const auto found = tensors.find("class_embeddings"), scale = tensors.find("logit_scale");
  if (found == tensors.end() || found->second.dim() != 2 || found->second.size(0) < 2) {
    throw BadInput(file.string() + " (teacher.class_embeddings) must hold \"class_embeddings\", classes x width");
  }
  constexpr double usual_scale = 100;
  if (scale != tensors.end() && scale->second.numel() != 1) throw BadInput(file.string() + ": logit_scale is not one number");
  const double factor = scale == tensors.end() ? usual_scale : scale->second.item<double>();
  const Tensor length = at::linalg_vector_norm(found->second, 2, at::IntArrayRef{-1}, /*keepdim=*/true);
  if (!(factor > 0) || length.min().item<double>() <= 0) {
    throw BadInput(file.string() + ": a class embedding is zero, or logit_scale is not positive");
  }
  return found->second / length * factor;
}

ModelConfig with_options(ModelConfig config, const TeacherOptions& options) {
  if (!options.class_embeddings.empty()) config.class_embeddings = read_class_embeddings(options.class_embeddings);
  config.image_size = options.image_size;
  config.output = options.output;
  if (options.heads > 0) config.heads = options.heads;
  if (options.epsilon > 0) config.epsilon = options.epsilon;
  if (!options.activation.empty()) config.activation = options.activation;
  if (!options.pooling.empty()) config.pooling = options.pooling;
  return config;
}

}  // namespace

Network checked_network(TensorMap tensors, const ModelConfig& config, const std::string& file,
                        const std::filesystem::path& folder) {
  refuse_unsupported(tensors, config, file);
  refuse_fields(config, folder);
  Network network = read_network(std::move(tensors), config, file);
  refuse_wrong_keys(network.parameters, *network.plan, file);
  refuse_contradictions(*network.plan, config, folder);
  return network;
}

Teacher read_teacher(const std::filesystem::path& folder, const TeacherOptions& options) {
  if (!std::filesystem::is_directory(folder)) {
    throw BadInput("teacher.weights: " + folder.string() + " is not a folder; it must hold model.safetensors and config.json");
  }
  ModelConfig config = with_options(read_model_config(folder), options);
  refuse_named(config, (folder / "config.json").string());
  refuse_fields(config, folder);
  const Weights weights = read_weights(folder);
  const std::string& file = weights.file;
  refuse_long_names(weights.tensors, file);
  const auto [tensors, remarks, swin] = to_timm_names(weights.tensors, file);
  config.swin = swin;
  Teacher teacher{.model = checked_network(widened(tensors, file), config, file, folder),
                  .preprocessing = config.preprocessing,
                  .content_hash = weights.content_hash,
                  .class_names = config.class_names};
  const Plan& plan = *teacher.model.plan;
  for (const std::string& remark : remarks) log::info(remark);
  for (auto& [name, parameter] : teacher.model.parameters) parameter = parameter.contiguous();
  const bool has_classes = plan.output.kind == Output::Kind::classes;
  if (!has_classes || static_cast<int64_t>(teacher.class_names.size()) != plan.output.size) teacher.class_names.clear();
  teacher.preprocessing.image_size = plan.image_size;
  return teacher;
}

Teacher load_teacher(const std::filesystem::path& folder, const TeacherOptions& options, const Communicator& communicator) {
  using nlohmann::json;
  Teacher teacher;
  const std::string header = from_root(communicator, [&] {
    teacher = read_teacher(folder, options);
    return json{{"facts", teacher.model.plan->facts},
                {"preprocessing", json::parse(to_json(teacher.preprocessing))},
                {"hash", teacher.content_hash},
                {"class_names", teacher.class_names}}
        .dump();
  });
  if (communicator.rank() != 0) {
    const json fields = json::parse(header);
    teacher.model.plan = plan_from(fields["facts"].get<std::string>());
    teacher.preprocessing = preprocessing_from_json(fields["preprocessing"].dump());
    teacher.content_hash = fields["hash"];
    teacher.class_names = fields["class_names"].get<std::vector<std::string>>();
  }
  broadcast_tensors(teacher.model.parameters, communicator);
  return teacher;
}

}  // namespace eidolon
