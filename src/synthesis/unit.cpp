#include "synthesis/unit.h"

namespace eidolon {

std::vector<Unit> units_of(const SynthesisJob& job) {
  const auto whole_units = [&](int64_t images) { return (images + job.unit_images - 1) / job.unit_images; };
  const int64_t count = whole_units(job.images) + whole_units(job.held_out_images);
  std::vector<Unit> units;
  for (int64_t i = 0; i < count; ++i) units.push_back({i * job.unit_images, job.unit_images});
  return units;
}

std::vector<Unit> share_of(const std::vector<Unit>& units, int rank, int size) {
  std::vector<Unit> share;
  for (size_t i = static_cast<size_t>(rank); i < units.size(); i += static_cast<size_t>(size)) share.push_back(units[i]);
  return share;
}

}  // namespace eidolon
