#include "synthesis/unit.h"

#include <algorithm>
#include <cmath>

namespace eidolon {

std::vector<Unit> units_of(const SynthesisJob& job) {
  const auto whole_units = [&](int64_t images) { return (images + job.unit_images - 1) / job.unit_images; };
  const int64_t count = whole_units(job.images) + whole_units(job.held_out_images);
  std::vector<Unit> units;
  for (int64_t i = 0; i < count; ++i) units.push_back({i * job.unit_images, job.unit_images});
  return units;
}

bool images_are_starts(const SynthesisJob& job) {
  return job.method == "gaussian" || job.iterations == 0 || job.optimised_share == 0;
}

bool is_optimised(const SynthesisJob& job, const Unit& unit) {
  if (images_are_starts(job)) return false;
  const auto optimised_among = [&](int64_t units) { return std::floor(static_cast<double>(units) * job.optimised_share); };
  const int64_t before = unit.first / job.unit_images;
  return optimised_among(before + 1) > optimised_among(before);
}

double views_per_iteration(const SynthesisJob& job, const Unit& unit) {
  if (!is_optimised(job, unit)) return 0;
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
