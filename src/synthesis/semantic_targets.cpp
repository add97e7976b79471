#include "synthesis/semantic_targets.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "numerics/random.h"

namespace eidolon {
namespace {

constexpr int64_t quadrants = 4;
constexpr double soft_label_low = 5, soft_label_high = 10;  ///< eps_1 and eps_2 of the paper

struct RelevantClass {
  int64_t index;
  double logit;
};

Tensor target_of(const std::vector<RelevantClass>& relevant, bool soft, int64_t classes, RandomStream random) {
  if (!soft || relevant.empty()) {
    Tensor target = at::zeros({classes});
    for (const RelevantClass& entry : relevant) target[entry.index] = 1.0 / static_cast<double>(relevant.size());
    return target;
  }
  Tensor logits = random.normals({classes});
  for (const RelevantClass& entry : relevant) logits[entry.index] = entry.logit;
  return logits.softmax(0);
}

std::vector<RelevantClass> draw_classes(const SynthesisJob& job, int64_t classes, int64_t image, int64_t count) {
  RandomStream random(job.seed, Purpose::semantic_classes, image);
  std::vector<RelevantClass> relevant;
  while (static_cast<int64_t>(relevant.size()) < count) {
    const int64_t candidate = random.below(classes);
    const bool taken = std::any_of(relevant.begin(), relevant.end(), [&](auto& entry) { return entry.index == candidate; });
    if (!taken) relevant.push_back({candidate, random.uniform(soft_label_low, soft_label_high)});
  }
  return relevant;
}

Tensor box_of(int64_t quadrant, int64_t image_size) {
  const int64_t side = image_size / 2;
  return at::tensor(std::vector<int64_t>{quadrant / 2 * side, quadrant % 2 * side, side, side}, at::kInt);
}

}  // namespace

SemanticTargets SemanticTargets::to(at::Device device) const {
  return {classes,
          class_logits,
          boxes,
          image_targets.to(device),
          crop_targets.to(device),
          crop_quadrants.to(device),
          crop_shares.to(device)};
}

bool shows_classes(const SynthesisJob& job) {
  return job.method != "psaq_v2";
}

int64_t most_crops(const SynthesisJob& job) {
  return job.method == "sardfq" ? job.sardfq.crops : 0;
}

SemanticTargets draw_semantic_targets(const SynthesisJob& job, const TeacherShape& teacher, const Unit& unit) {
  const int64_t classes = teacher.classes, batch = unit.images;
  const int64_t most = most_crops(job);
  const bool soft = job.method == "sardfq" && job.sardfq.soft_labels;
  if (most > 0 && classes == 0) {
    throw BadInput("synthesis.sardfq.crops shows classes, of which the teacher has none; set it to 0");
  }
  if (most > classes) {
    throw BadInput("synthesis.sardfq.crops is " + std::to_string(most) + ", but the teacher has " + std::to_string(classes) +
                   " classes and every crop of an image shows another one; lower it");
  }
  SemanticTargets targets;
  targets.classes = at::full({batch, quadrants}, -1, at::kInt);
  targets.class_logits = at::zeros({batch, quadrants});
  targets.boxes = at::full({batch, quadrants, 4}, -1, at::kInt);
  std::vector<Tensor> image_targets, crop_targets, shares;
  std::vector<int64_t> sources;

  for (int64_t i = 0; i < batch; ++i) {
    const int64_t image = unit.first + i, crops = most == 0 ? 0 : 1 + image % most;
    const auto relevant = draw_classes(job, classes, image, classes == 0 ? 0 : std::max<int64_t>(crops, 1));
    const auto labels = [&](int64_t draw) { return RandomStream(job.seed, Purpose::soft_labels, image, draw); };
    image_targets.push_back(target_of(relevant, soft, classes, labels(0)));
    const std::vector<int64_t> order = RandomStream(job.seed, Purpose::crops, image).permutation(quadrants);
    for (size_t k = 0; k < relevant.size(); ++k) {
      targets.classes[i][k] = relevant[k].index;
      if (soft) targets.class_logits[i][k] = relevant[k].logit;
    }
    for (int64_t k = 0; k < crops; ++k) {
      targets.boxes[i][k] = box_of(order[k], teacher.image_size);
      crop_targets.push_back(target_of({relevant[k]}, soft, classes, labels(1 + k)));
      sources.push_back(quadrants * i + order[k]);
      Tensor share = at::zeros({batch});
      share[i] = 1.0 / static_cast<double>(crops);
      shares.push_back(share);
    }
  }
  targets.image_targets = at::stack(image_targets);
  targets.crop_targets = crop_targets.empty() ? at::empty({0, classes}) : at::stack(crop_targets);
  targets.crop_quadrants = at::tensor(sources, at::kLong);
  targets.crop_shares = shares.empty() ? at::empty({batch, 0}) : at::stack(shares, 1);
  return targets;
}

}  // namespace eidolon
