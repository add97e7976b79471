#include "model/loading/weight_files.h"

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bounded_json.h"
#include "base/error.h"
#include "storage/atomic_file.h"
#include "storage/safetensors.h"

namespace eidolon {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

/// A plain name, so that an index cannot reach out of its folder.
void require_plain_name(const std::string& name, const std::string& index) {
  const bool is_plain = !name.empty() && name.find_first_of("/\\") == std::string::npos && name.ends_with(".safetensors");
  if (!is_plain || name.front() == '.') {
    throw BadInput(index + ": '" + name.substr(0, 100) + "' is not the name of a .safetensors file beside the index; " +
                   "save the model again, or as one file");
  }
}

/// File of each tensor.
std::map<std::string, std::string> read_weight_map(const fs::path& index) {
  const json parsed = bounded_json(read_text(index));
  const json map = parsed.is_object() ? parsed.value("weight_map", json()) : json();
  const bool is_map = map.is_object() && std::ranges::all_of(map, [](const json& file) { return file.is_string(); });
  if (!is_map || map.empty()) {
    throw BadInput(index.string() + " has no weight_map from tensors to files; save the model again, or as one file");
  }
  return map.get<std::map<std::string, std::string>>();
}

Weights read_sharded(const fs::path& index) {
  const std::map<std::string, std::string> file_of = read_weight_map(index);
  std::set<std::string> files;
  for (const auto& [tensor, file] : file_of) files.insert(file);
  for (const std::string& file : files) {
    require_plain_name(file, index.string());
    if (!fs::is_regular_file(index.parent_path() / file)) {
      throw BadInput(index.string() + " names " + file + ", which is not there; fetch that file as well");
    }
  }
  Weights weights{{}, {}, index.string()};
  for (const std::string& file : files) {
    for (auto& [name, tensor] : read_safetensors(index.parent_path() / file).tensors) {
      const auto listed = file_of.find(name);
      if (listed == file_of.end() || listed->second != file) {
        throw BadInput(index.string() + " does not say that '" + name.substr(0, 100) + "' lies in " + file +
                       ", which holds it; the files are not of one model");
      }
      weights.tensors[name] = tensor;
    }
  }
  for (const auto& [name, file] : file_of) {
    if (!weights.tensors.contains(name)) {
      throw BadInput(index.string() + ": '" + name.substr(0, 100) + "' is not in " + file + "; fetch that file again");
    }
  }
  weights.content_hash = content_hash(weights.tensors);
  return weights;
}

/// Names of files that may hold weights in other forms.
std::vector<std::string> other_weights(const fs::path& folder) {
  constexpr std::array<std::string_view, 10> endings{".safetensors", ".bin",     ".pt",  ".pth",  ".ckpt",
                                                     ".h5",          ".msgpack", ".npz", ".onnx", ".index.json"};
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (std::ranges::any_of(endings, [&](std::string_view ending) { return name.ends_with(ending); })) names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

[[noreturn]] void refuse(const fs::path& folder) {
  const std::vector<std::string> others = other_weights(folder);
  std::string message = folder.string() + " has no model.safetensors";
  bool has_safetensors = false;
  for (size_t i = 0; i < others.size(); ++i) {
    message += i >= 6 ? "" : (i == 0 ? ", but " : ", ") + others[i];
    has_safetensors = has_safetensors || others[i].ends_with(".safetensors");
  }
  if (others.size() > 6) message += " and " + std::to_string(others.size() - 6) + " more";
  if (others.empty()) throw BadInput(message + "; a teacher is a folder with model.safetensors and config.json");
  if (has_safetensors) throw BadInput(message + "; give the file with the weights the name model.safetensors");
  throw BadInput(
      message + "; only safetensors is read, since the others can run code or lose names: save the weights with " +
      "safetensors.torch.save_file(model.state_dict(), \"model.safetensors\") or with transformers' save_pretrained");
}

}  // namespace

Weights read_weights(const fs::path& folder) {
  const fs::path single = folder / "model.safetensors", index = folder / "model.safetensors.index.json";
  if (fs::exists(single)) {
    SafetensorsFile file = read_safetensors(single);
    return {std::move(file.tensors), file.content_hash, single.string()};
  }
  if (fs::is_regular_file(index)) return read_sharded(index);
  refuse(folder);
}

}  // namespace eidolon
