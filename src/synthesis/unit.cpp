#include "synthesis/unit.h"

#include <algorithm>

namespace eidolon {

std::vector<Unit> units_of(const SynthesisJob& job) {
  const auto whole_units = [&](int64_t images) { return (images + job.unit_images - 1) / job.unit_images; };
  const int64_t count = whole_units(job.images) + whole_units(job.held_out_images);
  std::vector<Unit> units;
  for (int64_t i = 0; i < count; ++i) units.push_back({i * job.unit_images, job.unit_images});
  return units;
}

double views_per_iteration(const SynthesisJob& job, const Unit& unit) {
  int64_t views = unit.images;
  for (int64_t image = unit.first; job.crops > 0 && job.crop_weight != 0.0 && image <= unit.last(); ++image)
    views += 1 + image % job.crops;
  return static_cast<double>(views);
}

std::vector<Unit> from_share_on(std::vector<Unit> units, int rank, int size) {
  const auto begin = static_cast<std::ptrdiff_t>(units.size()) * rank / size;
  std::rotate(units.begin(), units.begin() + begin, units.end());
  return units;
}

}  // namespace eidolon
