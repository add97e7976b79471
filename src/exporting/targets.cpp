#include "exporting/targets.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "exporting/library_folders.h"
#include "exporting/onnx_graph.h"
#include "exporting/onnx_writer.h"
#include "exporting/packed.h"
#include "exporting/tensorrt_rules.h"
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
  const Deployment& deployment = content.folded;
  write_safetensors(folder / "student.safetensors", packed_tensors(deployment), {{"format", "eidolon student"}});
  write_manifest(folder, export_manifest(deployment, content.facts));
}

struct OnnxFile {
  const char* name;
  GraphSettings settings;
};

void write_graphs(const Deployment& deployment, const ExportFacts& facts, const fs::path& folder,
                  const std::vector<OnnxFile>& files) {
  ordered_json manifest = export_manifest(deployment, facts);
  manifest["models"] = ordered_json::array();
  for (const auto& [file, settings] : files) {
    onnx::Model model = onnx_graph(deployment, facts.preprocessing, settings);
    model.producer_version = facts.program;
    model.metadata = {{"recipe", facts.recipe},
                      {"data_free", facts.data_free ? "true" : "false"},
                      {"preprocessing", to_json(facts.preprocessing)}};
    onnx::write_model(model, folder / file);
    const char* input = settings.input == ImageInput::bytes ? "bytes" : "normalised";
    manifest["models"].push_back({{"file", file}, {"input", input}, {"opset", model.opset}});
  }
  write_manifest(folder, manifest);
}

/// onnxruntime loads such a product and then fails to run it.
void refuse_wide_blocks(const Deployment& deployment) {
  constexpr int64_t int4_bits = 4;
  for (const Product& product : deployment.plan->products) {
    const auto weight = deployment.weights.find(product.weight);
    if (weight == deployment.weights.end() || product.convolution) continue;
    const QuantizerSpec& spec = weight->second.spec;
    const bool is_wide = spec.format->fixed_bits == 0 && spec.bits > int4_bits;
    const bool in_blocks = spec.scaling.granularity == Granularity::block;
    if (is_wide && in_blocks && deployment.activations.contains(product.input)) {
      throw BadInput("onnxruntime cannot multiply '" + deployment.plan->name(product.weight) +
                     "', integers of more than 4 bits in blocks, with a rounded input; quantization.weight_format = " +
                     "\"integer\" makes weights with a scale per output");
    }
  }
}

/// onnxruntime alone runs blocks of which the last is shorter.
void refuse_tails(const Deployment& deployment, const std::string& runtime) {
  for (const auto& [node, weight] : deployment.weights) {
    const Scaling& scaling = weight.spec.scaling;
    const int64_t inputs = weight.codes.flatten(1).size(1);
    if (scaling.granularity != Granularity::block || inputs % scaling.block == 0) continue;
    throw BadInput(runtime + " does not take '" + deployment.plan->name(node) + "', whose " + std::to_string(inputs) +
                   " inputs do not divide into blocks of " + std::to_string(scaling.block) +
                   "; choose smaller blocks or \"channel\" (quantization.int4_scales)");
  }
}

/// Building the graph refuses what has no operators.
void check_onnx(const Export& content) {
  const Deployment& deployment = content.folded;
  refuse_wide_blocks(deployment);
  onnx_graph(deployment, content.facts.preprocessing, {});
}

void check_openvino(const Export& content) {
  check_onnx(content);
  refuse_tails(content.folded, "OpenVINO");
}

void write_onnx(const Export& content, const fs::path& folder) {
  write_graphs(content.folded, content.facts, folder,
               {{.name = "model.onnx", .settings = {.input = ImageInput::normalised}},
                {.name = "model_bytes.onnx", .settings = {.input = ImageInput::bytes}}});
}

constexpr GraphSettings for_tensorrt{.input = ImageInput::normalised, .computed_scales = false};

void check_tensorrt(const Export& content) {
  const Deployment& deployment = content.all_folded;
  refuse_tails(deployment, "TensorRT");
  const auto violations = tensorrt_violations(onnx_graph(deployment, content.facts.preprocessing, for_tensorrt));
  if (violations.empty()) return;
  throw BadInput(
      "TensorRT cannot take this student: " + violations.front() + " (" + std::to_string(violations.size()) +
      " such places); it takes those of quantization.recipe = \"int8\" and \"fp8\", and of \"w4a8\" and \"w4a16\" with " +
      "quantization.int4_scales = \"block64\" or \"block128\"");
}

void write_tensorrt(const Export& content, const fs::path& folder) {
  write_graphs(content.all_folded, content.facts, folder, {{.name = "model.onnx", .settings = for_tensorrt}});
}

void check_compressed(const Export& content) {
  check_compressed_folder(content.kept, content.facts);
}

void write_compressed(const Export& content, const fs::path& folder) {
  const Deployment& deployment = content.kept;
  write_compressed_folder(deployment, content.facts, folder);
  write_manifest(folder, export_manifest(deployment, content.facts));
}

void write_torch(const Export& content, const fs::path& folder) {
  const Deployment& deployment = content.kept;
  write_torch_folder(deployment, content.facts, folder);
  write_manifest(folder, export_manifest(deployment, content.facts));
}

}  // namespace

Export export_of(const Student& student, ExportFacts facts) {
  const Deployment kept = deploy(student);
  return {.kept = kept,
          .folded = with_shifts(kept, ShiftedInputs::of_matrices),
          .all_folded = with_shifts(kept, ShiftedInputs::all),
          .facts = std::move(facts)};
}

const std::vector<Target>& export_targets() {
  static const std::vector<Target> targets{
      {.name = "packed",
       .description = "integers as small as they are, and a manifest: docs/reference/export.md",
       .check = takes_all,
       .write = write_packed},
      {.name = "onnx", .description = "for onnxruntime", .check = check_onnx, .write = write_onnx},
      {.name = "openvino", .description = "the same, which OpenVINO reads", .check = check_openvino, .write = write_onnx},
      {.name = "tensorrt",
       .description = "ONNX by TensorRT's rules, as far as they can be checked without it",
       .check = check_tensorrt,
       .write = write_tensorrt},
      {.name = "compressed-tensors",
       .description = "a folder that transformers reads with the compressed-tensors package",
       .check = check_compressed,
       .write = write_compressed},
      {.name = "torch",
       .description = "float32 values of the quantized weights, for timm or transformers; nothing is smaller",
       .check = takes_all,
       .write = write_torch},
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
