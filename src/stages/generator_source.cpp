#include "stages/generator_source.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "cluster/broadcast_tensors.h"
#include "cluster/on_root.h"
#include "synthesis/generator_files.h"
#include "synthesis/generator_loss.h"

namespace eidolon {

std::filesystem::path generator_file(const RunContext& context) {
  return shard_file(context.run, context.job, 0, 0).parent_path() / "generator.h5";
}

ShardOwner generator_owner(const RunContext& context) {
  IdentityContext identity = context.identity;
  identity.generator.clear();
  ShardOwner owner = context.shard_owner();
  owner.synthesis_id = synthesis_id(context.job, identity);
  owner.facts = synthesis_facts(context.job, identity);
  return owner;
}

GeneratorShape own_generator_shape(const RunContext& context) {
  return generator_shape(*context.teacher.model.plan, context.job.synthesis);
}

std::string finished_generator_hash(const RunContext& context) {
  const auto generator = read_generator(generator_file(context), own_generator_shape(context), generator_owner(context));
  return generator ? generator_hash(*generator) : std::string();
}

Generator finished_generator(const RunContext& context) {
  const Communicator& communicator = context.cluster.communicator;
  Generator generator{.shape = own_generator_shape(context), .parameters = {}};
  on_root(communicator, [&] {
    const std::filesystem::path file = generator_file(context);
    auto found = read_generator(file, generator.shape, generator_owner(context));
    if (!found || generator_hash(*found) != context.identity.generator) {
      throw Fault(file.string() +
                  " is gone, damaged or not the generator of the images beside it; remove it with these images " +
                  "and run again");
    }
    generator = std::move(*found);
  });
  for (TensorMap* tensors : {&generator.parameters, &generator.statistics}) {
    broadcast_tensors(*tensors, communicator);
    for (auto& [name, tensor] : *tensors) tensor = tensor.to(context.device());
  }
  return generator;
}

GeneratedImages generated_stream(const RunContext& context) {
  const auto generator = std::make_shared<const Generator>(finished_generator(context));
  const SynthesisJob& job = context.job.synthesis;
  const at::ScalarType precision = job.precision == "bf16" ? at::kBFloat16 : at::kFloat;
  return [generator, precision, seed = job.seed, preprocessing = context.teacher.preprocessing, device = context.device()](
             const std::vector<int64_t>& images, int64_t step) {
    const at::NoGradGuard no_grad;
    const Conditions conditions = image_conditions(seed, generator->shape.classes, images, step + 1);
    return generate(*generator, conditions.to(device), preprocessing, precision);
  };
}

}  // namespace eidolon
