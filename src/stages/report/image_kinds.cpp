#include "stages/report/image_kinds.h"

#include "job/mixture.h"
#include "storage/image_shard.h"
#include "synthesis/unit.h"

namespace eidolon {
namespace {

/// Where nothing optimised an image, the kind of its start.
std::string kind_of(const SynthesisJob& job, const ImageShard& shard, const Unit& unit, int64_t index) {
  const auto method = shard.attributes.find("method");
  if (job.method == "given") return method == shard.attributes.end() ? "given" : method->second;
  if (is_optimised(job, unit)) return "optimised (" + job.method + ")";
  const std::vector<std::string> cycle = mixture_cycle(job.start);
  return cycle[static_cast<size_t>(index) % cycle.size()];
}

StoredImage stored_image(const ImageShard& shard, const Unit& unit, int64_t place) {
  StoredImage image{.global = unit.first + place, .bytes = shard.images[place], .classes = {}};
  for (int64_t c = 0; shard.semantic_classes.defined() && c < shard.semantic_classes.size(1); ++c) {
    const auto shown = shard.semantic_classes[place][c].item<int32_t>();
    if (shown >= 0) image.classes.push_back(shown);
  }
  return image;
}

}  // namespace

std::map<std::string, std::vector<StoredImage>> images_by_kind(const RecordedRun& run, size_t most) {
  const SynthesisJob& job = run.job().synthesis;
  std::map<std::string, std::vector<StoredImage>> kinds;
  bool full_of_optimised = false, full_of_starts = false;
  for (const Unit& unit : units_on_disk(run, units_of(job))) {
    bool& full = is_optimised(job, unit) ? full_of_optimised : full_of_starts;
    if (full) continue;
    const ImageShard shard = read_shard(run.shard(unit));
    full = true;
    for (int64_t i = 0; i < shard.images.size(0); ++i) {
      std::vector<StoredImage>& images = kinds[kind_of(job, shard, unit, unit.first + i)];
      if (images.size() < most) images.push_back(stored_image(shard, unit, i));
      full = full && images.size() == most;
    }
  }
  return kinds;
}

}  // namespace eidolon
