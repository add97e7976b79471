#include "model/teacher.h"

#include <nlohmann/json.hpp>
#include <regex>

#include "base/error.h"
#include "cluster/broadcast_tensors.h"
#include "cluster/on_root.h"
#include "model/config.h"
#include "model/key_mapping.h"
#include "storage/safetensors.h"

namespace eidolon {
namespace {

std::string shape_text(at::IntArrayRef shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

/// One line for many names: the first few and how many more.
std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < 12; ++i) text += (i ? ", " : "") + names[i];
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
  if (config.pooling != "token") {
    throw BadInput(file + ": architecture '" + config.architecture + "' pools by '" + config.pooling +
                   "' (average pooling), which is not built; models that classify the class token are");
  }
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
  a.layer_norm_epsilon = config.layer_norm_epsilon;
  const auto grid = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(positions.size(1) - 1))));
  if (grid < 1 || grid * grid + 1 != positions.size(1)) {
    throw BadInput(file + ": pos_embed has " + std::to_string(positions.size(1)) +
                   " tokens, which is not a class token and a square grid of patches");
  }
  a.image_size = grid * a.patch_size;
  a.heads = config.heads.value_or(a.width / 64);
  if (a.heads < 1 || a.width % a.heads != 0) {
    throw BadInput(file + ": width " + std::to_string(a.width) + " does not divide into " + std::to_string(a.heads) +
                   " heads; state model_args.num_heads in config.json");
  }
  return a;
}

void refuse_contradictions(const Architecture& a, const ModelConfig& config, const std::filesystem::path& folder) {
  const auto check = [&](const char* what, std::optional<int64_t> stated, int64_t found) {
    if (stated && *stated != found) {
      throw BadInput((folder / "config.json").string() + " states " + what + " " + std::to_string(*stated) +
                     ", but the weights have " + std::to_string(found) + "; the two do not belong together");
    }
  };
  check("classes", config.classes, a.classes);
  check("width", config.width, a.width);
  check("depth", config.depth, a.depth);
  check("image size", config.image_size, a.image_size);
  check("patch size", config.patch_size, a.patch_size);
  check("channels", config.channels, a.channels);
  check("channels (length of mean)", config.preprocessing.channels(), a.channels);
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
  const std::filesystem::path path = folder / "model.safetensors";
  const std::string file = path.string();
  const SafetensorsFile weights = read_safetensors(path);
  refuse_long_names(weights.tensors, file);
  const TensorMap tensors = has_hugging_face_names(weights.tensors) ? from_hugging_face(weights.tensors) : weights.tensors;

  refuse_unsupported(tensors, config, file);
  const Architecture architecture = infer_architecture(tensors, config, file);
  refuse_wrong_keys(tensors, architecture, file);
  refuse_contradictions(architecture, config, folder);

  Teacher teacher{{architecture, widened(tensors, file)}, config.preprocessing, weights.content_hash, config.class_names};
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
