#include "synthesis/objective.h"

#include <limits>

#include "synthesis/head_similarity.h"
#include "synthesis/patch_entropy.h"
#include "synthesis/start.h"
#include "synthesis/total_variation.h"
#include "tests/storage/expect_error.h"
#include "tests/synthesis/small_teacher.h"

namespace eidolon {
namespace {

using testing::gradient_of;
using testing::largest_difference;
using testing::small_job;
using testing::small_pixels;
using testing::small_teacher;

constexpr Unit unit{0, 4};

/// The terms that SARDFQ does not have. SARDFQ's are those of small_job().
SynthesisJob psaq_job() {
  SynthesisJob job = small_job("psaq");
  job.psaq.entropy_weight = 0.5, job.psaq.head_similarity_weight = 2.0;
  return job;
}

/// -sum T log p, in float64 and by the definition of softmax.
double cross_entropy(const Tensor& logits, const Tensor& target) {
  const Tensor exponentials = logits.to(at::kDouble).exp();
  return -(target.to(at::kDouble) * (exponentials / exponentials.sum()).log()).sum().item<double>();
}

/// Not of the prior term, which holds a part of its target fixed: attention_prior_test.cpp.
TEST(Objective, GradientOfEveryTermMatchesDifferences) {
  const SynthesisTeacher teacher = small_teacher();
  const auto check = [&](const SynthesisJob& job, const char* name, Tensor LossTerms::*term) {
    SCOPED_TRACE(name);
    const UnitObjective objective = draw_objective(teacher, job, unit);
    const auto function = [&](const Tensor& x) { return (evaluate_objective(teacher, job, objective, x).*term).sum(); };
    testing::expect_gradient_matches_differences(function, small_pixels(4), 5e-3, 5e-3);
  };
  check(small_job(), "semantic", &LossTerms::semantic);
  check(small_job(), "crops", &LossTerms::crops);
  check(small_job(), "variation", &LossTerms::variation);
  check(psaq_job(), "head similarity", &LossTerms::head_similarity);
}

TEST(Objective, GradientOfTheWeightedSumMatchesDifferences) {
  const SynthesisTeacher teacher = small_teacher();
  SynthesisJob sardfq = small_job(), psaq = psaq_job();
  sardfq.sardfq.prior_weight = 0.0, psaq.psaq.entropy_weight = 0.0;
  for (const SynthesisJob& job : {sardfq, psaq}) {
    const UnitObjective objective = draw_objective(teacher, job, unit);
    const auto loss = [&](const Tensor& x) {
      return weighted_sum(evaluate_objective(teacher, job, objective, x), job, teacher.preprocessing);
    };
    testing::expect_gradient_matches_differences(loss, small_pixels(4), 5e-3, 5e-3);
  }
}

TEST(Objective, SemanticTermIsTheSoftCrossEntropyOfTheImage) {
  const SynthesisTeacher teacher = small_teacher();
  const UnitObjective objective = draw_objective(teacher, small_job(), unit);
  const Tensor pixels = small_pixels(4), logits = forward(teacher.model, pixels);
  const Tensor semantic = evaluate_objective(teacher, small_job(), objective, pixels).semantic;
  for (int64_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(semantic[i].item<double>(), cross_entropy(logits[i], objective.semantics.image_targets[i]), 1e-4);
  }
}

TEST(Objective, CropTermIsTheMeanOverAnImagesEnlargedQuadrants) {
  const SynthesisTeacher teacher = small_teacher();
  const UnitObjective objective = draw_objective(teacher, small_job(), unit);
  const Tensor pixels = small_pixels(4);
  const Tensor crops = evaluate_objective(teacher, small_job(), objective, pixels).crops;
  int64_t crop = 0;
  for (int64_t image = 0; image < 4; ++image) {
    double sum = 0;
    for (int64_t k = 0; k <= image; ++k, ++crop) {
      const int64_t top = objective.semantics.boxes[image][k][0].item<int64_t>();
      const int64_t left = objective.semantics.boxes[image][k][1].item<int64_t>();
      const Tensor slice = pixels.narrow(0, image, 1).narrow(2, top, 8).narrow(3, left, 8);
      const Tensor logits = forward(teacher.model, at::upsample_bilinear2d(slice, {16, 16}, false));
      sum += cross_entropy(logits[0], objective.semantics.crop_targets[crop]);
    }
    EXPECT_NEAR(crops[image].item<double>(), sum / static_cast<double>(image + 1), 1e-4) << image;
  }
}

TEST(Objective, PriorTermReadsTheClassTokensRowsOfTheLaterBlocks) {
  const SynthesisTeacher teacher = small_teacher();
  const UnitObjective objective = draw_objective(teacher, small_job(), unit);
  const Tensor pixels = small_pixels(4);
  std::vector<Tensor> rows;
  const Tap tap = [&](NodeId node, const Tensor& tensor) {
    const Plan& plan = *teacher.model.plan;
    const bool later = !plan.name(node).starts_with("blocks.0.");
    if (plan.role(node) == Role::probabilities && later) rows.push_back(tensor.select(2, 0));
    return tensor;
  };
  forward(teacher.model, pixels, tap);
  const LossTerms terms = evaluate_objective(teacher, small_job(), objective, pixels);
  ASSERT_EQ(terms.attention_rows.size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_LT(largest_difference(terms.attention_rows[i], rows[i]), 1e-9);
  EXPECT_LT(largest_difference(terms.prior, prior_loss(objective.prior, rows, 4)), 1e-7);
}

TEST(Objective, EntropyTermReadsTheOutputsOfTheHeadsOfTheWholeImages) {
  const SynthesisTeacher teacher = small_teacher();
  SynthesisJob job = psaq_job();
  const UnitObjective objective = draw_objective(teacher, job, unit);
  const Tensor pixels = small_pixels(4);
  std::vector<Tensor> mixed, probabilities, values;
  const Tap tap = [&](NodeId node, const Tensor& tensor) {
    if (teacher.model.plan->role(node) == Role::probabilities) probabilities.push_back(tensor);
    if (teacher.model.plan->role(node) == Role::value) values.push_back(tensor);
    return tensor;
  };
  forward(teacher.model, pixels, tap);
  for (size_t block = 0; block < 4; ++block) {
    mixed.push_back(at::matmul(probabilities[block], values[block]).transpose(1, 2).reshape({4, 17, 12}));
  }
  for (const char* const form : {"kernel", "gaussian"}) {
    job.psaq.entropy_form = form;
    const Tensor entropy = evaluate_objective(teacher, job, objective, pixels).entropy;
    EXPECT_LT(largest_difference(entropy, patch_entropy_loss(mixed, 2, form)), 1e-9) << form;
  }
}

TEST(Objective, HeadTermReadsQueriesAndKeysOfEveryBlock) {
  const SynthesisTeacher teacher = small_teacher();
  const SynthesisJob job = psaq_job();
  const Tensor pixels = small_pixels(4);
  std::vector<Tensor> queries, keys;
  const Tap tap = [&](NodeId node, const Tensor& tensor) {
    if (teacher.model.plan->role(node) == Role::query) queries.push_back(tensor);
    if (teacher.model.plan->role(node) == Role::key) keys.push_back(tensor);
    return tensor;
  };
  forward(teacher.model, pixels, tap);
  const LossTerms terms = evaluate_objective(teacher, job, draw_objective(teacher, job, unit), pixels);
  EXPECT_LT(largest_difference(terms.head_similarity, head_similarity_loss(queries, keys)), 1e-9);
}

TEST(Objective, WeightedSumIsTheSumOfTheWeightedTerms) {
  const SynthesisTeacher teacher = small_teacher();
  const auto sum = [](const Tensor& term) { return term.to(at::kDouble).sum().item<double>(); };
  const auto check = [&](const SynthesisJob& job, const auto& others) {
    const LossTerms terms = evaluate_objective(teacher, job, draw_objective(teacher, job, unit), small_pixels(4));
    const double variation = job.variation_weight / variation_scale(teacher.preprocessing) * sum(terms.variation);
    const double expected = sum(terms.semantic) + variation + others(terms);
    EXPECT_NEAR(weighted_sum(terms, job, teacher.preprocessing).item<double>(), expected, 1e-5 * std::abs(expected));
  };
  check(small_job(), [&](const LossTerms& terms) { return sum(terms.crops) + 100.0 * sum(terms.prior); });
  check(psaq_job(), [&](const LossTerms& terms) { return 0.5 * sum(terms.entropy) + 2.0 * sum(terms.head_similarity); });
}

TEST(Objective, NoTermCouplesTwoImages) {
  const SynthesisTeacher teacher = small_teacher();
  for (const SynthesisJob& job : {small_job(), psaq_job()}) {
    const UnitObjective objective = draw_objective(teacher, job, unit);
    const auto loss = [&](const Tensor& x) {
      return weighted_sum(evaluate_objective(teacher, job, objective, x), job, teacher.preprocessing);
    };
    const Tensor pixels = small_pixels(4);
    Tensor changed = pixels.clone();
    changed[1] = small_pixels(1, 99)[0];
    const Tensor before = gradient_of(loss, pixels), after = gradient_of(loss, changed);
    for (const int64_t untouched : {0, 2, 3}) EXPECT_LT(largest_difference(before[untouched], after[untouched]), 1e-6);
    EXPECT_GT(largest_difference(before[1], after[1]), 1e-3);
  }
}

TEST(Objective, OfAnImageIsTheSameInUnitsOfFourAndOfEight) {
  const SynthesisTeacher teacher = small_teacher();
  const Tensor pixels = small_pixels(8);
  for (const SynthesisJob& job : {small_job(), psaq_job()}) {
    const LossTerms whole = evaluate_objective(teacher, job, draw_objective(teacher, job, {0, 8}), pixels);
    const LossTerms half = evaluate_objective(teacher, job, draw_objective(teacher, job, {4, 4}), pixels.narrow(0, 4, 4));
    for (const auto term : {&LossTerms::prior, &LossTerms::semantic, &LossTerms::crops, &LossTerms::variation,
                            &LossTerms::entropy, &LossTerms::head_similarity}) {
      EXPECT_EQ((whole.*term).defined(), (half.*term).defined());
      if ((whole.*term).defined()) EXPECT_LT(largest_difference((whole.*term).narrow(0, 4, 4), half.*term), 1e-5);
    }
  }
}

TEST(Objective, SwitchedOffTermsLeaveNoTrace) {
  const SynthesisTeacher teacher = small_teacher();
  SynthesisJob job = small_job();
  UnitObjective objective = draw_objective(teacher, job, unit);
  const auto semantic = [&](const Tensor& x) { return evaluate_objective(teacher, job, objective, x).semantic.sum(); };
  const Tensor expected = gradient_of(semantic, small_pixels(4));

  job.sardfq.prior_weight = 0.0, job.sardfq.crops = 0, job.variation_weight = 0.0;
  for (Tensor& map : objective.prior.maps) map.fill_(std::numeric_limits<double>::quiet_NaN());
  objective.semantics.crop_targets.fill_(std::numeric_limits<double>::quiet_NaN());
  objective.variation_targets.fill_(std::numeric_limits<double>::quiet_NaN());
  const LossTerms terms = evaluate_objective(teacher, job, objective, small_pixels(4));
  EXPECT_FALSE(terms.prior.defined() || terms.crops.defined() || terms.variation.defined());
  EXPECT_FALSE(terms.entropy.defined() || terms.head_similarity.defined());
  EXPECT_TRUE(terms.attention_rows.empty());
  const auto loss = [&](const Tensor& x) {
    return weighted_sum(evaluate_objective(teacher, job, objective, x), job, teacher.preprocessing);
  };
  EXPECT_LT(largest_difference(gradient_of(loss, small_pixels(4)), expected), 1e-7);
}

TEST(LossTable, HoldsEveryTermAndTheFloorOfTheSemanticOne) {
  const SynthesisTeacher teacher = small_teacher();
  const UnitObjective objective = draw_objective(teacher, small_job(), unit);
  const LossTerms terms = evaluate_objective(teacher, small_job(), objective, small_pixels(4));
  const LossTable table = loss_table(terms, objective);
  EXPECT_EQ(table.names, (std::vector<std::string>{"prior", "semantic", "semantic_floor", "crops", "variation", "alignment",
                                                   "entropy", "head_similarity"}));
  ASSERT_EQ(table.values.sizes(), at::IntArrayRef({4, 8}));
  EXPECT_EQ(table.values.scalar_type(), at::kFloat);
  EXPECT_LT(largest_difference(table.values.select(1, 0), terms.prior), 1e-7);
  EXPECT_LT(largest_difference(table.values.select(1, 3), terms.crops), 1e-7);
  for (int64_t i = 0; i < 4; ++i) {
    const double entropy = cross_entropy(objective.semantics.image_targets[i].log(), objective.semantics.image_targets[i]);
    EXPECT_NEAR(table.values[i][2].item<double>(), entropy, 1e-4);
    EXPECT_GE(table.values[i][1].item<double>(), entropy - 1e-5);
  }
}

TEST(LossTable, HoldsZerosForWhatIsSwitchedOffAndAFiniteFloorForOneHotTargets) {
  const SynthesisTeacher teacher = small_teacher();
  SynthesisJob job = small_job();
  job.sardfq = {.prior_weight = 0.0, .crops = 0, .soft_labels = false};
  const UnitObjective objective = draw_objective(teacher, job, unit);
  const LossTable table = loss_table(evaluate_objective(teacher, job, objective, small_pixels(4)), objective);
  EXPECT_TRUE(table.values.isfinite().all().item<bool>());
  for (const int64_t column : {0, 2, 3}) EXPECT_EQ(table.values.select(1, column).abs().max().item<double>(), 0.0);
}

}  // namespace
}  // namespace eidolon
