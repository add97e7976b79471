#include "model/teacher.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>

#include "base/error.h"
#include "cluster/broadcast_tensors.h"
#include "cluster/log.h"
#include "cluster/on_root.h"
#include "model/config.h"
#include "model/key_mapping.h"
#include "model/weight_files.h"

namespace eidolon {
namespace {

std::string shape_text(at::IntArrayRef shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

/// One line for many names: the first few and how many more.
std::string listed(const std::vector<std::string>& names, const char* between = ", ") {
  std::string text;
  for (size_t i = 0; i < names.size() && i < 12; ++i) text += (i ? between : "") + names[i];
  if (names.size() > 12) text += " and " + std::to_string(names.size() - 12) + " more";
  return text;
}

const Tensor& required(const TensorMap& tensors, const std::string& name, int64_t dimensions, const std::string& file) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) {
    throw BadInput(file + ": parameter '" + name + "' is missing; this is not a ViT or DeiT with timm or Hugging Face names");
  }
  if (found->second.dim() != dimensions) {
    throw BadInput(file + ": parameter '" + name + "' has shape " + shape_text(found->second.sizes()) + ", expected " +
                   std::to_string(dimensions) + " dimensions");
  }
  if (found->second.numel() == 0) throw BadInput(file + ": parameter '" + name + "' is empty; the weights are damaged");
  return found->second;
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

int64_t count_blocks(const TensorMap& tensors) {
  static const std::regex block("^blocks\\.(\\d{1,4})\\..*");
  int64_t depth = 0;
  std::smatch match;
  for (const auto& [name, tensor] : tensors) {
    if (std::regex_match(name, match, block)) depth = std::max<int64_t>(depth, std::stoll(match.str(1)) + 1);
  }
  return depth;
}

void refuse_unsupported(const TensorMap& tensors, const ModelConfig& config, const std::string& file) {
  for (const auto& [name, tensor] : tensors) {
    const std::string feature = unsupported_feature(name);
    if (!feature.empty()) {
      throw BadInput(file + ": architecture '" + config.architecture + "' has " + feature + " (parameter '" + name +
                     "'), which is not built; plain ViT and DeiT models with a class token are");
    }
  }
}

/// All that the config asks for and that is not built, at once.
void refuse_fields(const ModelConfig& config, const std::filesystem::path& folder) {
  if (config.refused.empty()) return;
  throw BadInput((folder / "config.json").string() + " of '" + config.architecture + "': " + listed(config.refused, "; ") +
                 "; docs/model_folder.md says what is done with each field");
}

int64_t heads_of(const ModelConfig& config, int64_t width, const std::string& file) {
  if (config.heads) return *config.heads;
  if (config.heads_of_name && config.heads_of_name->width == width) return config.heads_of_name->heads;
  const std::string reason =
      config.heads_of_name ? "timm's '" + config.architecture + "' has width " + std::to_string(config.heads_of_name->width) +
                                 ", the weights have " + std::to_string(width)
                           : "'" + config.architecture + "' is not timm's name of a plain vision transformer";
  throw BadInput(file + ": no field states the number of heads, and " + reason +
                 "; add \"model_args\": {\"num_heads\": ...} to config.json");
}

Architecture infer_architecture(const TensorMap& tensors, const ModelConfig& config, const std::string& file) {
  const Tensor& patch = required(tensors, "patch_embed.proj.weight", 4, file);
  const Tensor& positions = required(tensors, "pos_embed", 3, file);
  const Tensor& head = required(tensors, "head.weight", 2, file);
  const Tensor& hidden = required(tensors, "blocks.0.mlp.fc1.weight", 2, file);

  Architecture a;
  a.width = patch.size(0);
  a.channels = patch.size(1);
  a.patch_size = patch.size(2);
  a.classes = head.size(0);
  a.hidden = hidden.size(0);
  a.depth = count_blocks(tensors);
  if (a.classes < 2) {
    throw BadInput(file +
                   ": head.weight has one row, so there is nothing to classify; regression and yes-or-no models with one " +
                   "output are not built");
  }
  a.layer_norm_epsilon = config.layer_norm_epsilon;
  const auto grid = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(positions.size(1) - 1))));
  if (grid < 1 || grid * grid + 1 != positions.size(1)) {
    throw BadInput(file + ": pos_embed has " + std::to_string(positions.size(1)) +
                   " tokens, which is not a class token and a square grid of patches");
  }
  a.image_size = grid * a.patch_size;
  a.heads = heads_of(config, a.width, file);
  if (a.width % a.heads != 0) {
    throw BadInput(file + ": width " + std::to_string(a.width) + " does not divide into " + std::to_string(a.heads) +
                   " heads; state model_args.num_heads in config.json");
  }
  return a;
}

void refuse_contradictions(const Architecture& a, const ModelConfig& config, const std::filesystem::path& folder) {
  const std::map<std::string, int64_t> found{
      {"classes", a.classes},       {"width", a.width},           {"depth", a.depth},      {"hidden width", a.hidden},
      {"image size", a.image_size}, {"patch size", a.patch_size}, {"channels", a.channels}};
  const auto refuse = [&](const std::string& what, const std::string& value, int64_t actual, const std::string& field) {
    throw BadInput((folder / "config.json").string() + " states " + what + " " + value + " (" + field +
                   "), but the weights have " + std::to_string(actual) + "; the two do not belong together");
  };
  for (const StatedNumber& stated : config.stated) {
    const int64_t actual = found.at(stated.what);
    if (stated.value != actual) refuse(stated.what, std::to_string(stated.value), actual, stated.field);
  }
  const double width = static_cast<double>(a.width);
  if (config.mlp_ratio && std::trunc(width * *config.mlp_ratio) != static_cast<double>(a.hidden)) {
    refuse("hidden width", std::to_string(a.width) + " x " + std::to_string(*config.mlp_ratio), a.hidden,
           "model_args.mlp_ratio");
  }
  const int64_t channels = config.preprocessing.channels();
  if (channels != a.channels) refuse("channels", std::to_string(channels), a.channels, "length of mean");
}

void refuse_wrong_keys(const TensorMap& tensors, const Architecture& architecture, const std::string& file) {
  std::vector<std::string> missing, unexpected, misshapen;
  const auto shapes = parameter_shapes(architecture);
  for (const auto& [name, shape] : shapes) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      missing.push_back(name);
    } else if (found->second.sizes() != at::IntArrayRef(shape)) {
      misshapen.push_back(name + " " + shape_text(found->second.sizes()) + " instead of " + shape_text(shape));
    }
  }
  for (const auto& [name, tensor] : tensors) {
    if (!shapes.contains(name)) unexpected.push_back(name);
  }
  if (missing.empty() && unexpected.empty() && misshapen.empty()) return;
  std::string message = file + " does not hold the parameters of one ViT:";
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

}  // namespace

Teacher read_teacher(const std::filesystem::path& folder) {
  if (!std::filesystem::is_directory(folder)) {
    throw BadInput("teacher.weights: " + folder.string() + " is not a folder; it must hold model.safetensors and config.json");
  }
  const ModelConfig config = read_model_config(folder);
  const Weights weights = read_weights(folder);
  const std::string& file = weights.file;
  refuse_long_names(weights.tensors, file);
  const auto [tensors, remarks] = to_timm_names(weights.tensors, file);

  refuse_unsupported(tensors, config, file);
  refuse_fields(config, folder);
  const Architecture architecture = infer_architecture(tensors, config, file);
  refuse_wrong_keys(tensors, architecture, file);
  refuse_contradictions(architecture, config, folder);
  for (const std::string& remark : remarks) log::info(remark);

  Teacher teacher{{architecture, widened(tensors, file)}, config.preprocessing, weights.content_hash, config.class_names};
  if (static_cast<int64_t>(teacher.class_names.size()) != architecture.classes) teacher.class_names.clear();
  teacher.preprocessing.image_size = architecture.image_size;
  return teacher;
}

Teacher load_teacher(const std::filesystem::path& folder, const Communicator& communicator) {
  using nlohmann::json;
  Teacher teacher;
  const std::string header = from_root(communicator, [&] {
    teacher = read_teacher(folder);
    const Architecture& a = teacher.model.architecture;
    return json{{"shape", {a.channels, a.image_size, a.patch_size, a.width, a.depth, a.heads, a.hidden, a.classes}},
                {"epsilon", a.layer_norm_epsilon},
                {"preprocessing", json::parse(to_json(teacher.preprocessing))},
                {"hash", teacher.content_hash},
                {"class_names", teacher.class_names}}
        .dump();
  });
  if (communicator.rank() != 0) {
    const json fields = json::parse(header);
    const auto shape = fields["shape"].get<std::vector<int64_t>>();
    teacher.model.architecture = {shape[0], shape[1], shape[2], shape[3],         shape[4],
                                  shape[5], shape[6], shape[7], fields["epsilon"]};
    teacher.preprocessing = preprocessing_from_json(fields["preprocessing"].dump());
    teacher.content_hash = fields["hash"];
    teacher.class_names = fields["class_names"].get<std::vector<std::string>>();
  }
  broadcast_tensors(teacher.model.parameters, communicator);
  return teacher;
}

}  // namespace eidolon
