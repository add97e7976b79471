#include "exporting/targets.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "exporting/onnx_graph.h"
#include "exporting/onnx_writer.h"
#include "exporting/packed.h"
#include "storage/atomic_file.h"
#include "storage/safetensors.h"

namespace eidolon {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

void write_manifest(const fs::path& folder, const ordered_json& manifest) {
  constexpr int indent = 1;
  const std::string text = manifest.dump(indent, ' ', false, ordered_json::error_handler_t::replace);
  write_text_atomically(folder / "manifest.json", text + "\n");
}

void takes_all(const Export&) {}

void write_packed(const Export& content, const fs::path& folder) {
  const Deployment deployment = deploy(content.student, Shifts::folded);
  write_safetensors(folder / "student.safetensors", packed_tensors(deployment), {{"format", "eidolon student"}});
  write_manifest(folder, export_manifest(deployment, content.facts));
}

void write_onnx(const Export& content, const fs::path& folder) {
  const Deployment deployment = deploy(content.student, Shifts::folded);
  ordered_json manifest = export_manifest(deployment, content.facts);
  manifest["models"] = ordered_json::array();
  const auto add = [&](const char* file, ImageInput input, const char* name) {
    onnx::Model model = onnx_graph(deployment, content.facts.preprocessing, input);
    model.producer_version = content.facts.program;
    model.metadata = {{"recipe", content.facts.recipe},
                      {"data_free", content.facts.data_free ? "true" : "false"},
                      {"preprocessing", to_json(content.facts.preprocessing)}};
    onnx::write_model(model, folder / file);
    manifest["models"].push_back({{"file", file}, {"input", name}, {"opset", model.opset}});
  };
  add("model.onnx", ImageInput::normalised, "normalised");
  add("model_bytes.onnx", ImageInput::bytes, "bytes");
  write_manifest(folder, manifest);
}

/// Building the graph refuses what has no operators.
void check_onnx(const Export& content) {
  onnx_graph(deploy(content.student, Shifts::folded), content.facts.preprocessing, ImageInput::normalised);
}

}  // namespace

const std::vector<Target>& export_targets() {
  static const std::vector<Target> targets{
      {.name = "packed",
       .description = "integers as small as they are, and a manifest: docs/reference/export.md",
       .check = takes_all,
       .write = write_packed},
      {.name = "onnx", .description = "for onnxruntime and OpenVINO", .check = check_onnx, .write = write_onnx},
  };
  return targets;
}

const Target& export_target(const std::string& name) {
  std::string names;
  for (const Target& target : export_targets()) {
    if (target.name == name) return target;
    names += (names.empty() ? "" : ", ") + std::string(target.name);
  }
  throw BadInput("there is no export target '" + name + "'; the targets are " + names);
}

}  // namespace eidolon
