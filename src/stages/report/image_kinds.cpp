#include "stages/report/image_kinds.h"

#include <algorithm>
#include <set>

#include "job/mixture.h"
#include "storage/image_shard.h"
#include "storage/tensor_archive.h"
#include "synthesis/unit.h"

namespace eidolon {
namespace {

using Attributes = std::map<std::string, std::string>;

/// Where nothing optimised an image, the kind of its start.
std::string kind_of(const SynthesisJob& job, const Attributes& attributes, const Unit& unit, int64_t index) {
  const auto method = attributes.find("method");
  if (job.method == "given") return method == attributes.end() ? "given" : method->second;
  if (is_optimised(job, unit)) return "optimised (" + job.method + ")";
  const std::vector<std::string> cycle = mixture_cycle(job.start);
  return cycle[static_cast<size_t>(index) % cycle.size()];
}

/// Without reading its images: a run has many, and a report shows a few.
std::set<std::string> kinds_in(const RecordedRun& run, const SynthesisJob& job, const Unit& unit) {
  const Attributes attributes = job.method == "given" ? read_attributes(run.shard(unit), false) : Attributes();
  std::set<std::string> kinds;
  for (int64_t index = unit.first; index <= unit.last(); ++index) kinds.insert(kind_of(job, attributes, unit, index));
  return kinds;
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
  for (const Unit& unit : units_on_disk(run, units_of(job))) {
    const std::set<std::string> of_unit = kinds_in(run, job, unit);
    if (std::ranges::all_of(of_unit, [&](const std::string& kind) { return kinds[kind].size() == most; })) continue;
    const ImageShard shard = read_shard(run.shard(unit));
    for (int64_t i = 0; i < shard.images.size(0); ++i) {
      std::vector<StoredImage>& images = kinds[kind_of(job, shard.attributes, unit, unit.first + i)];
      if (images.size() < most) images.push_back(stored_image(shard, unit, i));
    }
  }
  return kinds;
}

}  // namespace eidolon
