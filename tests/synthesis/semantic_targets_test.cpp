#include "synthesis/semantic_targets.h"

#include <set>

#include "tests/storage/expect_error.h"
#include "tests/synthesis/small_teacher.h"

namespace eidolon {
namespace {

using testing::largest_difference;
using testing::small_job;

SemanticTargets drawn(const Unit& unit, const SynthesisJob& job = small_job()) {
  return draw_semantic_targets(job, {.classes = 6, .image_size = 16}, unit);
}

TEST(SemanticTargets, ImageHasOneCropMoreThanItsIndexModuloTheMost) {
  const SemanticTargets targets = drawn({0, 8});
  EXPECT_EQ(targets.crops(), 20);
  for (int64_t image = 0; image < 8; ++image) {
    const int64_t count = (targets.crop_quadrants.div(4, "floor") == image).sum().item<int64_t>();
    EXPECT_EQ(count, 1 + image % 4);
    EXPECT_EQ((targets.classes[image] >= 0).sum().item<int64_t>(), count);
    EXPECT_NEAR(targets.crop_shares[image].sum().item<double>(), 1.0, 1e-6);
    EXPECT_EQ((targets.crop_shares[image] > 0).sum().item<int64_t>(), count);
  }
}

TEST(SemanticTargets, ClassesAndQuadrantsOfAnImageAreDistinct) {
  const SemanticTargets targets = drawn({0, 64});
  EXPECT_EQ(std::get<0>(at::_unique(targets.crop_quadrants)).size(0), targets.crops());
  for (int64_t image = 0; image < 64; ++image) {
    std::set<int> classes;
    for (int64_t k = 0; k < 1 + image % 4; ++k) {
      const int index = targets.classes[image][k].item<int>();
      EXPECT_TRUE(index >= 0 && index < 6);
      EXPECT_TRUE(classes.insert(index).second) << image;
    }
  }
}

TEST(SemanticTargets, AreProbabilitiesWhoseGreatestAreTheRelevantClasses) {
  const SemanticTargets targets = drawn({0, 8});
  EXPECT_LT(largest_difference(targets.image_targets.sum(-1), at::ones({8})), 1e-5);
  EXPECT_LT(largest_difference(targets.crop_targets.sum(-1), at::ones({20})), 1e-5);
  int64_t crop = 0;
  for (int64_t image = 0; image < 8; ++image) {
    for (int64_t k = 0; k < 1 + image % 4; ++k, ++crop) {
      EXPECT_EQ(targets.crop_targets[crop].argmax().item<int64_t>(), targets.classes[image][k].item<int64_t>());
      const double logit = targets.class_logits[image][k].item<double>();
      EXPECT_TRUE(logit > 5 && logit < 10);
    }
  }
}

TEST(SemanticTargets, SoftTargetsAreTheSoftmaxOfTheDrawnLogits) {
  const SemanticTargets targets = drawn({0, 4});
  // Image 3 shows four classes: the ratio of two targets is the exponential of the difference of their logits.
  const auto logit = [&](int64_t k) { return targets.class_logits[3][k].item<double>(); };
  const auto target = [&](int64_t k) { return targets.image_targets[3][targets.classes[3][k].item<int64_t>()].item<double>(); };
  for (int64_t k = 1; k < 4; ++k) EXPECT_NEAR(std::log(target(k) / target(0)), logit(k) - logit(0), 1e-4);
}

TEST(SemanticTargets, WithoutSoftLabelsTheRelevantClassesShareEqually) {
  SynthesisJob job = small_job();
  job.sardfq.soft_labels = false;
  const SemanticTargets targets = drawn({0, 4}, job);
  for (int64_t image = 0; image < 4; ++image) {
    Tensor expected = at::zeros({6});
    for (int64_t k = 0; k <= image; ++k) expected[targets.classes[image][k].item<int64_t>()] = 1.0 / (1.0 + image);
    EXPECT_LT(largest_difference(targets.image_targets[image], expected), 1e-6);
  }
  EXPECT_TRUE(at::equal(targets.crop_targets.amax(-1), at::ones({10})));
}

TEST(SemanticTargets, BoxesAreTheCroppedQuadrants) {
  const SemanticTargets targets = drawn({0, 4});
  int64_t crop = 0;
  for (int64_t image = 0; image < 4; ++image) {
    for (int64_t k = 0; k < 4; ++k) {
      const Tensor box = targets.boxes[image][k];
      if (k > image) {
        EXPECT_TRUE((box == -1).all().item<bool>());
        continue;
      }
      const int64_t quadrant = targets.crop_quadrants[crop++].item<int64_t>() % 4;
      EXPECT_TRUE(at::equal(box, at::tensor(std::vector<int64_t>{quadrant / 2 * 8, quadrant % 2 * 8, 8, 8}, at::kInt)));
    }
  }
}

TEST(SemanticTargets, OfAnImageAreTheSameInUnitsOfFourAndOfEight) {
  const SemanticTargets whole = drawn({0, 8}), half = drawn({4, 4});
  EXPECT_TRUE(at::equal(whole.classes.narrow(0, 4, 4), half.classes));
  EXPECT_TRUE(at::equal(whole.class_logits.narrow(0, 4, 4), half.class_logits));
  EXPECT_TRUE(at::equal(whole.boxes.narrow(0, 4, 4), half.boxes));
  EXPECT_TRUE(at::equal(whole.image_targets.narrow(0, 4, 4), half.image_targets));
  EXPECT_TRUE(at::equal(whole.crop_targets.narrow(0, 10, 10), half.crop_targets));
  EXPECT_TRUE(at::equal(whole.crop_quadrants.narrow(0, 10, 10), half.crop_quadrants + 16));
}

TEST(SemanticTargets, WithoutCropsAnImageHasOneClass) {
  SynthesisJob job = small_job();
  job.sardfq.crops = 0;
  const SemanticTargets targets = drawn({0, 5}, job);
  EXPECT_EQ(targets.crops(), 0);
  EXPECT_TRUE(((targets.classes >= 0).sum(-1) == 1).all().item<bool>());
  EXPECT_TRUE((targets.boxes == -1).all().item<bool>());
  EXPECT_EQ(targets.crop_shares.sizes(), at::IntArrayRef({5, 0}));
}

TEST(SemanticTargets, MoreCropsThanClassesAreRefused) {
  EXPECT_ERROR(BadInput, "synthesis.sardfq.crops is 4, but the teacher has 3 classes",
               draw_semantic_targets(small_job(), {.classes = 3, .image_size = 16}, {0, 4}));
}

}  // namespace
}  // namespace eidolon
