#include "synthesis/generator_files.h"

#include <span>
#include <vector>

#include "base/error.h"
#include "job/identity.h"
#include "storage/sha256.h"
#include "storage/tensor_archive.h"

namespace eidolon {
namespace {

const std::string parameters = "parameters/", statistics = "statistics/", first_moment = "exp_avg/",
                  second_moment = "exp_avg_sq/";

using Shapes = std::map<std::string, std::vector<int64_t>>;

void add(TensorArchive& archive, const std::string& group, const TensorMap& tensors) {
  for (const auto& [name, tensor] : tensors) archive.tensors[group + name] = tensor.detach().cpu().contiguous();
}

/// The tensors of a group; none unless each is there, float32 and of its shape.
std::optional<TensorMap> tensors_of(const TensorArchive& archive, const std::string& group, const Shapes& shapes) {
  TensorMap result;
  for (const auto& [name, shape] : shapes) {
    const auto found = archive.tensors.find(group + name);
    if (found == archive.tensors.end()) return std::nullopt;
    const Tensor& tensor = found->second;
    if (tensor.scalar_type() != at::kFloat || tensor.sizes() != at::IntArrayRef(shape)) return std::nullopt;
    result[name] = tensor;
  }
  return result;
}

std::string attribute(const TensorArchive& archive, const char* name) {
  const auto found = archive.attributes.find(name);
  return found == archive.attributes.end() ? std::string() : found->second;
}

std::optional<int64_t> count_of(const TensorArchive& archive, const char* name) {
  const auto found = archive.tensors.find(name);
  if (found == archive.tensors.end() || found->second.scalar_type() != at::kLong || found->second.numel() != 1)
    return std::nullopt;
  const auto count = found->second.item<int64_t>();
  return count < 0 ? std::nullopt : std::optional(count);
}

TensorArchive archive_of(const Generator& generator, const ShardOwner& owner) {
  TensorArchive archive{
      .tensors = {},
      .attributes = {{"synthesis_id", owner.synthesis_id}, {"identity", owner.facts}, {"versions", owner.versions}}};
  add(archive, parameters, generator.parameters);
  add(archive, statistics, generator.statistics);
  return archive;
}

}  // namespace

GeneratorState start_generator(const GeneratorShape& shape, uint64_t seed, at::Device device) {
  GeneratorState state{.generator = initial_generator(shape, seed), .moments = {}};
  for (auto& [name, tensor] : state.generator.parameters) {
    tensor = tensor.to(device);
    state.moments[name] = AdamMoments::zeros_like(tensor);
  }
  return state;
}

void write_generator_state(const std::filesystem::path& path, const GeneratorState& state, const ShardOwner& owner) {
  TensorArchive archive = archive_of(state.generator, owner);
  for (const auto& [name, moments] : state.moments) {
    add(archive, first_moment, {{name, moments.exp_avg}});
    add(archive, second_moment, {{name, moments.exp_avg_sq}});
  }
  archive.tensors["step"] = at::scalar_tensor(state.step, at::kLong);
  write_archive(path, "eidolon generator state", archive);
}

std::optional<GeneratorState> read_generator_state(const std::filesystem::path& path, const GeneratorShape& shape,
                                                   const ShardOwner& owner) {
  if (verify_archive(path) != ArchiveState::sound) return std::nullopt;
  const TensorArchive archive = read_archive(path);
  if (attribute(archive, "synthesis_id") != owner.synthesis_id) return std::nullopt;
  const Shapes shapes = generator_parameters(shape);
  const auto values = tensors_of(archive, parameters, shapes), first = tensors_of(archive, first_moment, shapes),
             second = tensors_of(archive, second_moment, shapes);
  const auto step = count_of(archive, "step");
  if (!values || !first || !second || !step) return std::nullopt;
  GeneratorState state{.generator = {.shape = shape, .parameters = *values}, .moments = {}, .step = *step};
  for (const auto& [name, sizes] : shapes)
    state.moments[name] = {.exp_avg = first->at(name), .exp_avg_sq = second->at(name), .step = *step};
  return state;
}

void write_generator(const std::filesystem::path& path, const Generator& generator, const ShardOwner& owner) {
  write_archive(path, "eidolon generator", archive_of(generator, owner));
}

std::optional<Generator> read_generator(const std::filesystem::path& path, const GeneratorShape& shape,
                                        const ShardOwner& owner) {
  if (verify_archive(path) != ArchiveState::sound) return std::nullopt;
  const TensorArchive archive = read_archive(path);
  if (attribute(archive, "synthesis_id") != owner.synthesis_id) {
    throw BadInput(path.string() +
                   " was trained by another job: " + first_difference(owner.facts, attribute(archive, "identity")) +
                   "; use another --run-dir or run.shards, or remove it with the shards beside it");
  }
  const auto values = tensors_of(archive, parameters, generator_parameters(shape)),
             kept = tensors_of(archive, statistics, generator_statistics(shape));
  if (!values || !kept) return std::nullopt;
  return Generator{.shape = shape, .parameters = *values, .statistics = *kept};
}

std::string generator_hash(const Generator& generator) {
  Sha256 hash;
  const auto add_all = [&](const std::string& group, const TensorMap& tensors) {
    for (const auto& [name, tensor] : tensors) {
      const Tensor bytes = tensor.detach().cpu().contiguous();
      hash.update(group + name);
      for (const int64_t size : bytes.sizes()) hash.update(std::to_string(size) + " ");
      hash.update(std::as_bytes(std::span(bytes.const_data_ptr<float>(), static_cast<size_t>(bytes.numel()))));
    }
  };
  add_all(parameters, generator.parameters);
  add_all(statistics, generator.statistics);
  return hash.hex();
}

}  // namespace eidolon
