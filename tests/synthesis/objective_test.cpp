#include "synthesis/objective.h"

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "model/families/cnn.h"
#include "synthesis/terms/attention_prior.h"
#include "synthesis/terms/head_similarity.h"
#include "synthesis/terms/patch_entropy.h"
#include "synthesis/terms/semantic.h"
#include "synthesis/terms/total_variation.h"
#include "tests/device/test_device.h"
#include "tests/places.h"
#include "tests/storage/expect_error.h"
#include "tests/synthesis/small_teacher.h"

namespace eidolon {
namespace {

using testing::gradient_of;
using testing::largest_difference;
using testing::loss_named;
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

std::vector<std::string_view> names_of(const UnitObjective& objective) {
  std::vector<std::string_view> names;
  for (const ActiveTerm& term : objective.terms) names.push_back(term.name);
  return names;
}

/// The sum of the weighted terms as a function of the pixels.
auto loss_of(const SynthesisTeacher& teacher, const UnitObjective& objective) {
  return [&teacher, &objective](const Tensor& x) { return weighted_sum(losses_of(objective, look(teacher, objective, x))); };
}

/// -sum T log p, in float64 and by the definition of softmax.
double cross_entropy(const Tensor& logits, const Tensor& target) {
  const Tensor exponentials = logits.to(at::kDouble).exp();
  return -(target.to(at::kDouble) * (exponentials / exponentials.sum()).log()).sum().item<double>();
}

TEST(Terms, HaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  for (const Term& term : terms()) names.insert(term.name);
  EXPECT_EQ(names.size(), terms().size());
}

TEST(Terms, OfAMethodAreThoseThatItGivesAWeight) {
  using Names = std::vector<std::string_view>;
  const SynthesisTeacher teacher = small_teacher();
  const auto of = [&](const SynthesisJob& job) { return names_of(draw_objective(teacher, job, unit)); };
  EXPECT_EQ(of(small_job("views")), (Names{"semantic"}));
  EXPECT_EQ(of(small_job("sardfq")), (Names{"semantic", "crops", "prior", "variation"}));
  EXPECT_EQ(of(small_job("psaq")), (Names{"semantic", "variation", "entropy"}));
  EXPECT_EQ(of(psaq_job()), (Names{"semantic", "variation", "entropy", "head_similarity"}));
}

SynthesisTeacher small_resnet() {
  const auto folder = testing::test_data() / "model" / "families" / "timm_resnet_basic";
  const Teacher teacher = read_teacher(folder);
  return {teacher.model, teacher.preprocessing};
}

TEST(Terms, OfBatchNormAreForNetworksThatHaveIt) {
  using Names = std::vector<std::string_view>;
  SynthesisJob job = small_job("views");
  EXPECT_EQ(names_of(draw_objective(small_resnet(), job, unit)), (Names{"semantic"}));
  job.batchnorm_weight = 2;
  EXPECT_EQ(names_of(draw_objective(small_resnet(), job, unit)), (Names{"semantic", "statistics"}));
  EXPECT_ERROR(BadInput, "the teacher has no BatchNorm", draw_objective(small_teacher(), job, unit));
}

TEST(Terms, OfBatchNormAreAllThatANetworkWithNeitherClassesNorAttentionHas) {
  SynthesisTeacher teacher = small_resnet();
  nlohmann::json facts = nlohmann::json::parse(teacher.plan().facts);
  facts["classes"] = 0;
  teacher.model.plan = cnn_plan_from(facts.dump());
  EXPECT_EQ(names_of(draw_objective(teacher, small_job("views"), unit)), (std::vector<std::string_view>{"statistics"}));
}

/// Not of the prior term, which holds a part of its target fixed: terms/attention_prior_test.cpp.
TEST(Objective, GradientOfEveryTermMatchesDifferences) {
  const SynthesisTeacher teacher = small_teacher();
  const auto check = [&](const SynthesisJob& job, std::string_view name) {
    SCOPED_TRACE(name);
    const UnitObjective objective = draw_objective(teacher, job, unit);
    const auto function = [&](const Tensor& x) { return loss_named(name, objective, look(teacher, objective, x)).sum(); };
    testing::expect_gradient_matches_differences(function, small_pixels(4), 5e-3, 5e-3);
  };
  for (const char* name : {"semantic", "crops", "variation"}) check(small_job(), name);
  check(psaq_job(), "head_similarity");
}

TEST(Objective, GradientOfTheWeightedSumMatchesDifferences) {
  const SynthesisTeacher teacher = small_teacher();
  SynthesisJob sardfq = small_job(), psaq = psaq_job();
  sardfq.sardfq.prior_weight = 0.0, psaq.psaq.entropy_weight = 0.0;
  for (const SynthesisJob& job : {sardfq, psaq}) {
    const UnitObjective objective = draw_objective(teacher, job, unit);
    testing::expect_gradient_matches_differences(loss_of(teacher, objective), small_pixels(4), 5e-3, 5e-3);
  }
}

TEST(Objective, SemanticTermIsTheSoftCrossEntropyOfTheImage) {
  const SynthesisTeacher teacher = small_teacher();
  const UnitObjective objective = draw_objective(teacher, small_job(), unit);
  const Tensor pixels = small_pixels(4), logits = forward(teacher.model, pixels);
  const Tensor semantic = loss_named("semantic", objective, look(teacher, objective, pixels));
  for (int64_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(semantic[i].item<double>(), cross_entropy(logits[i], objective.semantics.image_targets[i]), 1e-4);
  }
}

TEST(Objective, CropTermIsTheMeanOverAnImagesEnlargedQuadrants) {
  const SynthesisTeacher teacher = small_teacher();
  const UnitObjective objective = draw_objective(teacher, small_job(), unit);
  const Tensor pixels = small_pixels(4);
  const Tensor crops = loss_named("crops", objective, look(teacher, objective, pixels));
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
    const bool later = !teacher.plan().name(node).starts_with("blocks.0.");
    if (teacher.plan().role(node) == Role::probabilities && later) rows.push_back(tensor.select(2, 0));
    return tensor;
  };
  forward(teacher.model, pixels, tap);
  const Seen seen = look(teacher, objective, pixels);
  ASSERT_EQ(seen.attention.size(), 4u);
  for (size_t i = 0; i < 3; ++i) EXPECT_LT(largest_difference(seen.attention[i + 1].class_row, rows[i]), 1e-9);
  EXPECT_FALSE(seen.attention[0].query.defined() || seen.attention[0].output.defined()) << "nobody asked for them";
  const AttentionPrior prior = draw_attention_prior(small_job().seed, teacher.plan().attention, unit).to(test_device());
  EXPECT_LT(largest_difference(loss_named("prior", objective, seen), prior_loss(prior, rows)), 1e-7);
}

TEST(Objective, EntropyTermReadsTheOutputsOfTheHeadsOfTheWholeImages) {
  const SynthesisTeacher teacher = small_teacher();
  SynthesisJob job = psaq_job();
  const Tensor pixels = small_pixels(4);
  std::vector<Tensor> outputs, probabilities, values;
  const Tap tap = [&](NodeId node, const Tensor& tensor) {
    if (teacher.plan().role(node) == Role::probabilities) probabilities.push_back(tensor);
    if (teacher.plan().role(node) == Role::value) values.push_back(tensor);
    return tensor;
  };
  forward(teacher.model, pixels, tap);
  for (size_t block = 0; block < 4; ++block) {
    outputs.push_back(at::matmul(probabilities[block], values[block]).transpose(1, 2).narrow(1, 1, 16));
  }
  for (const char* const form : {"kernel", "gaussian"}) {
    job.psaq.entropy_form = form;
    const UnitObjective objective = draw_objective(teacher, job, unit);
    const Tensor entropy = loss_named("entropy", objective, look(teacher, objective, pixels));
    EXPECT_LT(largest_difference(entropy, patch_entropy_loss(outputs, form)), 1e-9) << form;
  }
}

TEST(Objective, HeadTermReadsQueriesAndKeysOfThePatchesOfEveryBlock) {
  const SynthesisTeacher teacher = small_teacher();
  const Tensor pixels = small_pixels(4);
  std::vector<Tensor> queries, keys;
  const Tap tap = [&](NodeId node, const Tensor& tensor) {
    if (teacher.plan().role(node) == Role::query) queries.push_back(tensor.narrow(2, 1, 16));
    if (teacher.plan().role(node) == Role::key) keys.push_back(tensor.narrow(2, 1, 16));
    return tensor;
  };
  forward(teacher.model, pixels, tap);
  const UnitObjective objective = draw_objective(teacher, psaq_job(), unit);
  const Tensor similarity = loss_named("head_similarity", objective, look(teacher, objective, pixels));
  EXPECT_LT(largest_difference(similarity, head_similarity_loss(queries, keys)), 1e-9);
}

TEST(Objective, HeadTermIsRefusedForATeacherWithOneHead) {
  SynthesisTeacher teacher = small_teacher();
  VitFacts facts = testing::small_facts();
  facts.heads = 1;
  teacher.model.plan = vit_plan(facts);
  EXPECT_ERROR(BadInput, "synthesis.psaq.head_similarity_weight compares attention heads",
               draw_objective(teacher, psaq_job(), unit));
}

TEST(Objective, WeightedSumIsTheSumOfTheWeightedTerms) {
  const SynthesisTeacher teacher = small_teacher();
  const double variation = 0.283 / variation_scale(teacher.preprocessing);
  const std::map<std::string_view, double> weights{{"semantic", 1.0},        {"crops", 1.0},   {"prior", 100.0},
                                                   {"variation", variation}, {"entropy", 0.5}, {"head_similarity", 2.0}};
  for (const SynthesisJob& job : {small_job(), psaq_job()}) {
    const UnitObjective objective = draw_objective(teacher, job, unit);
    const std::vector<TermLoss> losses = losses_of(objective, look(teacher, objective, small_pixels(4)));
    double expected = 0;
    for (const TermLoss& loss : losses) expected += weights.at(loss.name) * loss.value.to(at::kDouble).sum().item<double>();
    EXPECT_EQ(losses.size(), 4u);
    EXPECT_NEAR(weighted_sum(losses).item<double>(), expected, 1e-5 * std::abs(expected));
  }
}

TEST(Objective, NoTermCouplesTwoImages) {
  const SynthesisTeacher teacher = small_teacher();
  for (const SynthesisJob& job : {small_job(), psaq_job()}) {
    const UnitObjective objective = draw_objective(teacher, job, unit);
    const Tensor pixels = small_pixels(4);
    Tensor changed = pixels.clone();
    changed[1] = small_pixels(1, 99)[0];
    const Tensor before = gradient_of(loss_of(teacher, objective), pixels);
    const Tensor after = gradient_of(loss_of(teacher, objective), changed);
    for (const int64_t untouched : {0, 2, 3}) EXPECT_LT(largest_difference(before[untouched], after[untouched]), 1e-6);
    EXPECT_GT(largest_difference(before[1], after[1]), 1e-3);
  }
}

TEST(Objective, OfAnImageIsTheSameInUnitsOfFourAndOfEight) {
  const SynthesisTeacher teacher = small_teacher();
  const Tensor pixels = small_pixels(8);
  for (const SynthesisJob& job : {small_job(), psaq_job()}) {
    const UnitObjective of_eight = draw_objective(teacher, job, {0, 8}), of_four = draw_objective(teacher, job, {4, 4});
    const Seen whole = look(teacher, of_eight, pixels), half = look(teacher, of_four, pixels.narrow(0, 4, 4));
    for (const std::string_view name : names_of(of_eight)) {
      const Tensor last = loss_named(name, of_eight, whole).narrow(0, 4, 4);
      EXPECT_LT(largest_difference(last, loss_named(name, of_four, half)), 1e-5) << name;
    }
  }
}

TEST(Objective, WithoutATermIsRefused) {
  SynthesisJob job = synthesis_method("psaq_v2").defaults();
  job.psaq.entropy_weight = job.variation_weight = 0.0;
  EXPECT_ERROR(BadInput, "no term of synthesis has a weight", draw_objective(small_teacher(), job, unit));
}

TEST(Objective, SwitchedOffTermsLeaveNoTrace) {
  const SynthesisTeacher teacher = small_teacher();
  SynthesisJob job = small_job();
  job.sardfq.prior_weight = 0.0, job.sardfq.crops = 0, job.variation_weight = 0.0;
  const UnitObjective objective = draw_objective(teacher, job, unit);
  EXPECT_EQ(names_of(objective), std::vector<std::string_view>{"semantic"});
  const Seen seen = look(teacher, objective, small_pixels(4));
  EXPECT_TRUE(seen.attention.empty());
  EXPECT_FALSE(seen.crop_logits.defined());
  const auto semantic = [&](const Tensor& x) {
    return soft_cross_entropy(forward(teacher.model, x), objective.semantics.image_targets).sum();
  };
  EXPECT_LT(
      largest_difference(gradient_of(loss_of(teacher, objective), small_pixels(4)), gradient_of(semantic, small_pixels(4))),
      1e-7);
}

TEST(LossTable, HoldsEveryTermFollowedByItsFigure) {
  const SynthesisTeacher teacher = small_teacher();
  const UnitObjective objective = draw_objective(teacher, small_job(), unit);
  const Seen seen = look(teacher, objective, small_pixels(4));
  const LossTable table = loss_table(objective, seen);
  EXPECT_EQ(table.names, (std::vector<std::string>{"semantic", "semantic_floor", "crops", "prior", "alignment", "variation"}));
  ASSERT_EQ(table.values.sizes(), at::IntArrayRef({4, 6}));
  EXPECT_EQ(table.values.scalar_type(), at::kFloat);
  EXPECT_LT(largest_difference(table.values.select(1, 2), loss_named("crops", objective, seen)), 1e-7);
  EXPECT_LT(largest_difference(table.values.select(1, 3), loss_named("prior", objective, seen)), 1e-7);
  for (int64_t i = 0; i < 4; ++i) {
    const double entropy = cross_entropy(objective.semantics.image_targets[i].log(), objective.semantics.image_targets[i]);
    EXPECT_NEAR(table.values[i][1].item<double>(), entropy, 1e-4);
    EXPECT_GE(table.values[i][0].item<double>(), entropy - 1e-5);
  }
}

TEST(LossTable, HasAFiniteFloorForOneHotTargets) {
  const SynthesisTeacher teacher = small_teacher();
  SynthesisJob job = small_job();
  job.sardfq = {.prior_weight = 0.0, .crops = 0, .soft_labels = false};
  const UnitObjective objective = draw_objective(teacher, job, unit);
  const LossTable table = loss_table(objective, look(teacher, objective, small_pixels(4)));
  EXPECT_EQ(table.names, (std::vector<std::string>{"semantic", "semantic_floor", "variation"}));
  EXPECT_TRUE(table.values.isfinite().all().item<bool>());
  EXPECT_EQ(table.values.select(1, 1).abs().max().item<double>(), 0.0);
}

}  // namespace
}  // namespace eidolon
