#include "stages/growth_frames.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "base/error.h"
#include "job/synthesis_methods.h"
#include "storage/tensor_archive.h"

namespace eidolon {
namespace {

std::filesystem::path frame_file(const std::filesystem::path& shard, const Unit& unit) {
  char name[32];
  std::snprintf(name, sizeof name, "unit-%08lld.h5", static_cast<long long>(unit.first));
  return shard.parent_path() / "growth" / name;
}

bool is_first_optimised(const SynthesisJob& job, const Unit& unit) {
  const std::vector<Unit> units = units_of(job);
  const auto first = std::ranges::find_if(units, [&](const Unit& other) { return is_optimised(job, other); });
  return first != units.end() && first->first == unit.first;
}

}  // namespace

int64_t growth_iteration(const SynthesisJob& job) {
  return std::max<int64_t>(iterations_of(job) / 4, 1);
}

void keep_growth_frame(const RunContext& context, const Unit& unit, const UnitState& state) {
  const SynthesisJob& job = context.job.synthesis;
  if (state.iteration != growth_iteration(job) || !is_first_optimised(job, unit)) return;
  const std::filesystem::path file = frame_file(context.shard(unit), unit);
  std::filesystem::create_directories(file.parent_path());
  const Tensor pixels = state.pixels.narrow(0, 0, std::min(growth_images, unit.images));
  write_archive(file, "eidolon growth frame",
                {.tensors = {{"images", to_bytes(context.teacher.preprocessing, pixels).cpu()}}, .attributes = {}});
}

Tensor read_growth_frame(const std::filesystem::path& shard, const Unit& unit) {
  const std::filesystem::path file = frame_file(shard, unit);
  if (verify_archive(file) != ArchiveState::sound) return {};
  const TensorArchive archive = read_archive(file);
  const auto images = archive.tensors.find("images");
  const bool is_frame =
      images != archive.tensors.end() && images->second.dim() == 4 && images->second.scalar_type() == at::kByte;
  return is_frame ? images->second : Tensor();
}

}  // namespace eidolon
