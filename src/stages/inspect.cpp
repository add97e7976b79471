#include <iostream>

#include "stages/stages.h"
#include "storage/safetensors.h"
#include "storage/tensor_archive.h"

namespace eidolon {
namespace {

void print_tensors(const TensorMap& tensors) {
  for (const auto& [name, tensor] : tensors)
    std::cout << "  " << name << "  " << tensor.dtype() << " " << tensor.sizes() << "\n";
}

void print_attributes(const std::map<std::string, std::string>& attributes) {
  for (const auto& [name, value] : attributes) std::cout << "  " << name << " = " << value << "\n";
}

}  // namespace

ExitCode inspect(const std::filesystem::path& file) {
  if (!std::filesystem::is_regular_file(file)) throw BadInput(file.string() + " is not a file");
  if (file.extension() == ".safetensors") {
    const SafetensorsFile weights = read_safetensors(file);
    std::cout << file.string() << ": safetensors, content hash " << weights.content_hash << "\n";
    print_attributes(weights.metadata);
    print_tensors(weights.tensors);
    return ExitCode::done;
  }
  if (verify_archive(file) != ArchiveState::sound) {
    throw BadInput(file.string() + " is damaged, or was not written by this program: its seal does not match its bytes");
  }
  const TensorArchive archive = read_archive(file);
  std::cout << file.string() << ": the seal holds\n";
  print_attributes(archive.attributes);
  print_tensors(archive.tensors);
  return ExitCode::done;
}

}  // namespace eidolon
