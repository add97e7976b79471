#include "stages/given_images.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/bounded_json.h"
#include "cluster/on_root.h"
#include "storage/tensor_archive.h"
#include "synthesis/unit.h"

namespace eidolon {
namespace {

using nlohmann::json;

/// {"identity": ..., "data_free": ...} of a shard of images of that side.
std::string facts_of(const std::filesystem::path& path, int64_t side) {
  if (verify_archive(path) != ArchiveState::sound) {
    throw BadInput(path.string() +
                   " is absent or damaged, but synthesis.method = \"given\" takes images from there; "
                   "set run.shards to their folder, and synthesis.unit_images as they were written");
  }
  const auto attributes = read_attributes(path, false);
  const auto identity = attributes.find("identity"), data_free = attributes.find("data_free");
  const json facts = identity == attributes.end() ? json() : bounded_json(identity->second);
  if (!facts.is_object() || facts.value("side", json()) != json(side)) {
    throw BadInput(path.string() + " does not state images of side " + std::to_string(side) +
                   ", the teacher's; make it with scripts/real_images_to_shards and this teacher");
  }
  const bool free = data_free != attributes.end() && data_free->second == "true";
  return json{{"identity", identity->second}, {"data_free", free}}.dump();
}

}  // namespace

void adopt_given_images(RunContext& context) {
  const std::string first = from_root(context.cluster.communicator, [&] {
    return facts_of(context.shard(units_of(context.job.synthesis).at(0)), context.teacher.preprocessing.image_size);
  });
  const json facts = json::parse(first);
  context.identity.given = facts.at("identity");
  context.data_free = facts.at("data_free");
}

}  // namespace eidolon
