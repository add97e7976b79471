#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>

#include "base/bounded_json.h"
#include "base/one_line.h"
#include "exporting/export_folder.h"
#include "job/toml_sections.h"
#include "model/loading/teacher.h"
#include "reporting/result.h"
#include "stages/file_kind.h"
#include "stages/inspect_export.h"
#include "stages/stages.h"
#include "storage/atomic_file.h"
#include "storage/safetensors.h"
#include "storage/tensor_archive.h"

namespace eidolon {
namespace {

using nlohmann::ordered_json;

std::string text_of(const TensorMap& tensors) {
  std::ostringstream text;
  for (const auto& [name, tensor] : tensors)
    text << "  " << one_line(name) << "  " << tensor.dtype() << " " << tensor.sizes() << "\n";
  return text.str();
}

std::string text_of(const std::map<std::string, std::string>& attributes) {
  std::string text;
  for (const auto& [name, value] : attributes) text += "  " + one_line(name) + " = " + one_line(value, "\n\t") + "\n";
  return text;
}

std::string beginning_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string begin(1024, '\0');
  stream.read(begin.data(), static_cast<std::streamsize>(begin.size()));
  if (stream.bad() || (!stream && !stream.eof())) throw Fault("cannot read " + file.string() + "; check permissions");
  begin.resize(static_cast<size_t>(stream.gcount()));
  return begin;
}

void require_file(const std::filesystem::path& file) {
  std::error_code unreadable;
  const auto status = std::filesystem::status(file, unreadable);
  if (std::filesystem::is_directory(status)) {
    const bool run = std::filesystem::exists(file / "job.resolved.toml", unreadable);
    throw BadInput(file.string() + (run ? " is a run directory; `eidolon status` says what it holds"
                                        : " is a folder; give one of the files in it"));
  }
  if (!std::filesystem::exists(status)) throw BadInput("there is no file " + file.string());
  if (!std::filesystem::is_regular_file(status)) throw BadInput(file.string() + " is no regular file");
  if (std::filesystem::file_size(file) == 0) throw BadInput(file.string() + " is empty");
}

std::string about_safetensors(const std::filesystem::path& file) {
  const SafetensorsFile weights = read_safetensors(file);
  return "safetensors, content hash " + weights.content_hash + "\n" + text_of(weights.metadata) + text_of(weights.tensors);
}

/// The readable line of its seal first: "eidolon image shard".
std::string about_archive(const std::filesystem::path& file, const std::string& begin) {
  if (verify_archive(file) != ArchiveState::sound) {
    throw BadInput(file.string() + " is damaged: its seal does not match its bytes; it is made anew where it is needed");
  }
  const TensorArchive archive = read_archive(file);
  return one_line(begin.substr(0, begin.find('\n'))) + ", the seal holds\n" + text_of(archive.attributes) +
         text_of(archive.tensors);
}

std::string about_toml(const std::filesystem::path& file) {
  const bool settled = file.filename() == "job.resolved.toml";
  std::string text = settled ? "job of a run, every `auto` as settled at its first start\n" : "TOML, as a job is\n";
  for (const TomlSection& section : toml_sections(read_text(file), file.string())) {
    text += "  [" + section.name + "] " + std::to_string(section.entries.size()) + " keys\n";
  }
  return text;
}

std::string about_json(const std::filesystem::path& file) {
  const bool lines = file.extension() == ".jsonl";
  std::string text = read_text(file);
  const auto count = std::ranges::count(text, '\n');
  if (lines) text = text.substr(0, text.find('\n'));
  const ordered_json json = bounded_json<ordered_json>(text);
  if (json.is_discarded()) throw BadInput(file.string() + " is no JSON, or was cut short");
  const std::string kind = kind_of_json(file, json);
  if (kind.empty()) throw BadInput(file.string() + " is JSON, but none of this program's files");
  return kind + "\n" + (lines ? "  " + std::to_string(count) + " lines, the first:\n" : "") + fields_text(json);
}

/// What was made of a model folder's fields; a folder that is no teacher is refused as `run` would.
std::string about_model(const std::filesystem::path& folder) {
  const Teacher teacher = read_teacher(folder);
  return "model folder, content hash " + teacher.content_hash + "\n  network = " + teacher.model.plan->facts +
         "\n  preprocessing = " + to_json(teacher.preprocessing) + "\n  " + std::to_string(teacher.class_names.size()) +
         " classes have names\n";
}

std::string about(const std::filesystem::path& file) {
  constexpr std::string_view hdf5 = "\x89HDF";
  const std::string extension = file.extension().string(), begin = beginning_of(file);
  const std::string_view behind_seal = std::string_view(begin).substr(std::min<size_t>(begin.size(), 512));
  if (extension == ".safetensors") return about_safetensors(file);
  if (begin.starts_with("eidolon ") || behind_seal.starts_with(hdf5)) return about_archive(file, begin);
  if (extension == ".toml") return about_toml(file);
  if (extension == ".json" || extension == ".jsonl") return about_json(file);
  if (extension == ".log" && file.filename().string().starts_with("rank-")) return "log of a rank, a text\n";
  throw BadInput(file.string() + " " + kind_of_foreign(file, begin));
}

}  // namespace

ExitCode inspect(const std::filesystem::path& file) {
  if (is_export_folder(file)) {
    print_result(file.string() + ": " + about_export(file));
    return ExitCode::done;
  }
  if (std::filesystem::exists(file / "config.json")) {
    print_result(file.string() + ": " + about_model(file));
    return ExitCode::done;
  }
  require_file(file);
  print_result(file.string() + ": " + about(file));
  return ExitCode::done;
}

}  // namespace eidolon
