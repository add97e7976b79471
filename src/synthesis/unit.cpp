#include "synthesis/unit.h"

#include <algorithm>
#include <cmath>

#include "job/synthesis_methods.h"
#include "synthesis/semantic_targets.h"

namespace eidolon {

namespace {

constexpr int64_t rarest = 1000;  ///< a kind with less than one unit in so many is not looked for

Unit unit_at(const SynthesisJob& job, int64_t index) {
  return {index * job.unit_images, job.unit_images};
}

int64_t whole_units(const SynthesisJob& job, int64_t images) {
  return (images + job.unit_images - 1) / job.unit_images;
}

}  // namespace

std::vector<Unit> training_units(const SynthesisJob& job) {
  std::vector<Unit> units;
  for (int64_t i = 0; i < whole_units(job, job.images); ++i) units.push_back(unit_at(job, i));
  return units;
}

std::vector<Unit> held_out_units(const SynthesisJob& job) {
  if (job.held_out_images == 0) return {};
  const std::vector<Unit> training = training_units(job);
  const auto all = static_cast<int64_t>(training.size());
  const int64_t optimised = std::ranges::count_if(training, [&](const Unit& unit) { return is_optimised(job, unit); });
  const bool mixed = optimised > 0 && optimised < all;
  const int64_t count = std::max<int64_t>(whole_units(job, job.held_out_images), mixed ? 2 : 1);
  int64_t of_optimised = (2 * count * optimised + all) / (2 * all);  // rounded to nearest
  if (mixed) of_optimised = std::clamp<int64_t>(of_optimised, 1, count - 1);

  int64_t of_starts = count - of_optimised;
  std::vector<Unit> units;
  for (int64_t i = all; of_optimised + of_starts > 0 && i < all + count + rarest; ++i) {
    int64_t& wanted = is_optimised(job, unit_at(job, i)) ? of_optimised : of_starts;
    if (wanted == 0) continue;
    units.push_back(unit_at(job, i));
    --wanted;
  }
  return units;
}

std::vector<Unit> units_of(const SynthesisJob& job) {
  std::vector<Unit> units = training_units(job);
  const std::vector<Unit> held_out = held_out_units(job);
  units.insert(units.end(), held_out.begin(), held_out.end());
  return units;
}

std::vector<int64_t> held_out_images(const SynthesisJob& job) {
  std::vector<int64_t> images;
  for (const Unit& unit : held_out_units(job)) {
    for (int64_t image = unit.first; image <= unit.last(); ++image) images.push_back(image);
  }
  return images;
}

std::string kinds_of(const SynthesisJob& job, const std::vector<Unit>& units) {
  int64_t optimised = 0, starts = 0;
  for (const Unit& unit : units) (is_optimised(job, unit) ? optimised : starts) += unit.images;
  if (job.method == "given") return std::to_string(optimised + starts) + " given";
  std::string kinds;
  if (optimised > 0) kinds = std::to_string(optimised) + (trains_generator(job) ? " generated" : " optimised");
  if (optimised > 0 && starts > 0) kinds += ", ";
  if (starts > 0 || optimised == 0) kinds += std::to_string(starts) + " as they start (" + job.start + ")";
  return kinds;
}

bool images_are_starts(const SynthesisJob& job) {
  return job.method == "gaussian" || iterations_of(job) == 0 || job.optimised_share == 0;
}

bool is_optimised(const SynthesisJob& job, const Unit& unit) {
  if (images_are_starts(job) || job.method == "given") return false;
  const auto optimised_among = [&](int64_t units) { return std::floor(static_cast<double>(units) * job.optimised_share); };
  const int64_t before = unit.first / job.unit_images;
  return optimised_among(before + 1) > optimised_among(before);
}

double views_per_iteration(const SynthesisJob& job, const Unit& unit) {
  if (!is_optimised(job, unit) || trains_generator(job)) return 0;
  const int64_t crops = most_crops(job);
  int64_t views = unit.images;
  for (int64_t image = unit.first; crops > 0 && image <= unit.last(); ++image) views += 1 + image % crops;
  return static_cast<double>(views);
}

std::vector<Unit> from_share_on(std::vector<Unit> units, int rank, int size) {
  const auto begin = static_cast<std::ptrdiff_t>(units.size()) * rank / size;
  std::rotate(units.begin(), units.begin() + begin, units.end());
  return units;
}

}  // namespace eidolon
