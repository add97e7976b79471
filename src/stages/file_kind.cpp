#include "stages/file_kind.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <vector>

namespace eidolon {
namespace {

struct JsonKind {
  std::vector<const char*> fields;  ///< all of which it has
  const char* what;
};

// The first that fits counts.
const std::array kJsonKinds = {
    JsonKind{{"kl_all", "nodes"}, "sensitivity: what each node of the calibrated student costs"},
    JsonKind{{"nodes"}, "manifest: every node of the student, how it is quantized"},
    JsonKind{{"program", "format_version"}, "environment: versions, command, hosts and devices of a run's latest start"},
    JsonKind{{"rank", "pulses", "stage"}, "heartbeat: what a rank last said of itself"},
    JsonKind{{"launch", "process", "heartbeats"}, "claim: who is making these images, or fine-tuning this student"},
    JsonKind{{"stage", "step", "time", "seconds"}, "times: how long a rank was at what, one object a line"},
    JsonKind{{"report_format", "runs"}, "report: what `eidolon report` gathered of runs"},
    JsonKind{{"stage", "step", "time"}, "metrics: losses and held-out figures, one object a line"},
    JsonKind{{"images", "skipped", "teacher"}, "result of `eidolon evaluate`"},
    JsonKind{{"images", "optimistic"}, "result of `eidolon evaluate` without labelled images"},
    JsonKind{{"synthesis", "checkpoint", "launches"}, "result of `eidolon status`"},
    JsonKind{{"findings", "all_reduce"}, "result of `eidolon doctor`"},
    JsonKind{{"weight_map"}, "index of safetensors weights in several files"},
    JsonKind{{"image_processor_type"}, "preprocessing of a Hugging Face model"},
    JsonKind{{"image_mean"}, "preprocessing of a Hugging Face model"},
    JsonKind{{"model_type"}, "config of a Hugging Face model"},
    JsonKind{{"architecture"}, "config of a timm model"},
};

struct Signature {
  std::string_view begin;
  const char* what;
};

using namespace std::string_view_literals;
constexpr std::array kSignatures = {
    Signature{"\x89PNG\r\n\x1a\n"sv, "a PNG picture"},
    Signature{"\xFF\xD8\xFF"sv, "a JPEG picture"},
    Signature{"GIF8"sv, "a GIF picture"},
    Signature{"RIFF"sv, "a WebP picture, or sound"},
    Signature{"II*\0"sv, "a TIFF picture"},
    Signature{"MM\0*"sv, "a TIFF picture"},
    Signature{"BM"sv, "a BMP picture"},
    Signature{"\x93NUMPY"sv, "a NumPy array"},
    Signature{"\x7F"
              "ELF"sv,
              "a program or library"},
    Signature{"%PDF"sv, "a PDF document"},
    Signature{"\x1F\x8B"sv, "a gzip archive"},
    Signature{"\x89HDF\r\n\x1a\n"sv, "an HDF5 file without the seal that this program writes in front"},
};

bool is_text(std::string_view begin) {
  return std::ranges::none_of(begin, [](unsigned char c) { return c < 0x20 && c != '\n' && c != '\r' && c != '\t'; });
}

}  // namespace

std::string kind_of_json(const std::filesystem::path& file, const nlohmann::ordered_json& json) {
  if (!json.is_object()) return "";
  if (file.filename() == "finetuning.owner.json") return "claim: who is fine-tuning this student";
  for (const JsonKind& kind : kJsonKinds) {
    if (std::ranges::all_of(kind.fields, [&](const char* field) { return json.contains(field); })) return kind.what;
  }
  return "";
}

std::string kind_of_foreign(const std::filesystem::path& file, std::string_view begin) {
  const std::string extension = file.extension().string();
  const bool zip = begin.starts_with("PK\x03\x04"), pickle = begin.starts_with('\x80');
  if (pickle || (zip && (extension == ".bin" || extension == ".pt" || extension == ".pth"))) {
    return "holds PyTorch weights as a pickle, which is not read, since it may run any code; save them as safetensors "
           "(safetensors.torch.save_file)";
  }
  if (zip) return "is a zip archive";
  for (const Signature& signature : kSignatures) {
    if (begin.starts_with(signature.begin)) return std::string("is ") + signature.what;
  }
  if (begin.size() > 8 && begin[8] == '{') return "may be a safetensors file; it is read if its name ends in .safetensors";
  return is_text(begin) ? "is a text that this program did not write" : "is no file of this program";
}

}  // namespace eidolon
