// write_onnx_examples FOLDER [FAMILIES]: writes the small models, for onnx_package_test.py; with FAMILIES, a folder of model
// folders, a graph of every network in float32, one as int8 calibrates it, some with low-rank factors, one without zero points
// if it is convolutional, and beside each what the network itself computes.
#include <filesystem>
#include <string>
#include <vector>

#include "exporting/onnx_graph.h"
#include "exporting/onnx_writer.h"
#include "model/loading/teacher.h"
#include "model/readout.h"
#include "quantization/calibration.h"
#include "quantization/scheme.h"
#include "storage/safetensors.h"
#include "tests/exporting/onnx_examples.h"

namespace {

namespace fs = std::filesystem;
using eidolon::Tensor;

/// Outputs by their names in the graph.
eidolon::TensorMap outputs_of(const eidolon::Student& student, const Tensor& images) {
  const eidolon::Output& output = student.model.plan->output;
  const Tensor all = eidolon::forward(student.model, images, eidolon::quantizing_tap(student));
  if (output.parts.empty()) return {{output.kind == eidolon::Output::Kind::classes ? "logits" : "embedding", all}};
  eidolon::TensorMap parts;
  for (size_t i = 0; i < output.parts.size(); ++i) parts[output.parts[i].name] = part_of(output, i, all).contiguous();
  return parts;
}

void write_network(const eidolon::Teacher& teacher, const eidolon::Student& student, const Tensor& images, const fs::path& stem,
                   eidolon::ShiftedInputs inputs = eidolon::ShiftedInputs::of_matrices) {
  const eidolon::onnx::Model model = onnx_graph(with_shifts(deploy(student), inputs), teacher.preprocessing, {});
  eidolon::onnx::write_model(model, stem.string() + ".onnx");
  eidolon::TensorMap expected = outputs_of(student, images);
  expected["images"] = images;
  eidolon::write_safetensors(stem.string() + ".safetensors", expected);
}

void write_family(const fs::path& family, const fs::path& folder) {
  const at::NoGradGuard no_gradients;
  const Tensor images = eidolon::read_safetensors(family / "reference.safetensors").tensors.at("images");
  const eidolon::Teacher teacher = eidolon::read_teacher(family);
  const std::string name = family.filename().string();
  write_network(teacher, {teacher.model, {}}, images, folder / (name + "-float32"));
  const auto calibrated_for = [&](const eidolon::QuantizationJob& job) {
    return calibrate(teacher.model, scheme_of(job, *teacher.model.plan), images, calibration_settings(job));
  };
  const eidolon::Student calibrated = calibrated_for({});
  write_network(teacher, calibrated, images, folder / (name + "-int8"));
  const bool shows_low_rank = name == "timm_vit_token" || name == "timm_resnet_basic" || name == "timm_swin";
  if (shows_low_rank) {
    eidolon::QuantizationJob low_rank;
    low_rank.correction = "low_rank";
    low_rank.low_rank.rank = 4;
    low_rank.low_rank.precision = "int8";
    write_network(teacher, calibrated_for(low_rank), images, folder / (name + "-low_rank"));
  }
  const bool has_maps = teacher.model.plan->attention.empty();
  if (has_maps) write_network(teacher, calibrated, images, folder / (name + "-shifted"), eidolon::ShiftedInputs::all);
}

}  // namespace

int main(int count, char** words) {
  if (count != 2 && count != 3) return 64;
  namespace onnx = eidolon::onnx;
  const fs::path folder = words[1];
  if (count == 3) {
    for (const auto& family : fs::directory_iterator(words[2])) {
      const std::string name = family.path().filename().string();
      const bool is_refused = name == "timm_sam" || name == "hf_vitdet" || name == "hf_vit_resampled";  // by the loader
      if (!is_refused) write_family(family.path(), folder);
    }
    return 0;
  }
  onnx::write_model(onnx::testing::quantized_model(), folder / "quantized.onnx");
  onnx::write_model(onnx::testing::types_model(), folder / "types.onnx");
  const onnx::ExternalData external{.above = 0, .smallest = 0};
  onnx::write_model(onnx::testing::quantized_model(), folder / "quantized_beside.onnx", external);
  onnx::write_model(onnx::testing::types_model(), folder / "types_beside.onnx", external);
  return 0;
}
