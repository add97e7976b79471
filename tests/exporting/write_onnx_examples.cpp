// write_onnx_examples FOLDER [FAMILIES]: writes the small models, for onnx_package_test.py, and values rounded in blocks with
// what the program makes of them; with FAMILIES, a folder of model folders, a graph of every network in float32, one as int8
// calibrates it, some with low-rank factors, one without zero points if it is convolutional, and beside each what the network
// itself computes.
#include <filesystem>
#include <string>
#include <vector>

#include "exporting/onnx_graph.h"
#include "exporting/onnx_values.h"
#include "exporting/onnx_writer.h"
#include "model/loading/teacher.h"
#include "model/readout.h"
#include "quantization/calibration.h"
#include "quantization/quantizer.h"
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

constexpr int64_t block_rows = 512, block_columns = 64;

/// Rows of values from 2^-30 to 448, among them powers of two, zeros, and numbers with two or four significant bits.
Tensor spread_values() {
  at::manual_seed(1);
  const Tensor size = at::exp2(at::rand({block_rows, 1}) * 39 - 30);
  Tensor values = at::randn({block_rows, block_columns}) * size;
  constexpr int64_t each = 64;
  values.narrow(0, 0, each) = at::exp2(values.narrow(0, 0, each).abs().log2().floor());
  values.narrow(0, each, each) = values.narrow(0, each, each).to(at::kFloat8_e5m2).to(at::kFloat);
  const Tensor reaching = values.narrow(0, 2 * each, each).clamp(-448, 448);  // E4M3 reaches no further
  values.narrow(0, 2 * each, each) = reaching.to(at::kFloat8_e4m3fn).to(at::kFloat);
  values.narrow(0, 3 * each, 4).zero_();
  return values;
}

/// A value rounded in blocks whose scales follow from it, as an activation of that recipe is, and what the program makes of it.
void write_rounded_blocks(const std::string& name, const eidolon::QuantizerSpec& spec, const fs::path& folder) {
  namespace onnx = eidolon::onnx;
  eidolon::Quantizer quantizer{.spec = spec, .scale = at::ones({1}), .zero_point = at::zeros({1})};
  if (spec.scaling.stored == eidolon::ScaleFormat::e4m3) quantizer.factor = at::full({1}, 0.0137F);
  const Tensor values = spread_values();
  onnx::Model model{.opset = 24, .ir_version = onnx::ir_version_for(24), .graph_name = name};
  onnx::add_input(model, {"x", onnx::Type::float32, {block_rows, block_columns}});
  const std::string y = onnx::rounded(model, {.node = "node", .x = "x", .channels = block_columns}, quantizer);
  onnx::add_output(model, y, {"y", onnx::Type::float32, {block_rows, block_columns}});
  onnx::write_model(model, folder / (name + ".onnx"));
  eidolon::write_safetensors(folder / (name + ".safetensors"), {{"x", values}, {"y", fake_quantize(values, quantizer)}});
}

void write_rounded(const fs::path& folder) {
  using eidolon::ScaleFormat;
  const auto spec = [](const eidolon::Format& format, int64_t block, ScaleFormat stored) {
    return eidolon::QuantizerSpec{.format = &format,
                                  .bits = format.fixed_bits,
                                  .symmetric = true,
                                  .scaling = eidolon::per_block(-1, block, stored, true)};
  };
  write_rounded_blocks("mxfp8", spec(eidolon::formats::e4m3, 32, ScaleFormat::e8m0), folder);
  write_rounded_blocks("mxfp4", spec(eidolon::formats::e2m1, 32, ScaleFormat::e8m0), folder);
  write_rounded_blocks("nvfp4", spec(eidolon::formats::e2m1, 16, ScaleFormat::e4m3), folder);
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
  write_rounded(folder);
  onnx::write_model(onnx::testing::quantized_model(), folder / "quantized.onnx");
  onnx::write_model(onnx::testing::types_model(), folder / "types.onnx");
  const onnx::ExternalData external{.above = 0, .smallest = 0};
  onnx::write_model(onnx::testing::quantized_model(), folder / "quantized_beside.onnx", external);
  onnx::write_model(onnx::testing::types_model(), folder / "types_beside.onnx", external);
  return 0;
}
