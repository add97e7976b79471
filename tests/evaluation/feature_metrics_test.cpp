#include "evaluation/feature_metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace eidolon {
namespace {

/// A pooled vector of 4 and 3 tokens of 4, flattened one after the other.
Output pooled_and_tokens() {
  Output output{.kind = Output::Kind::features, .size = 4 + 12};
  output.parts = {{.name = "pooled", .section = 1, .steps = {}, .layout = Layout::vector, .shape = {4}},
                  {.name = "tokens", .section = 1, .steps = {}, .layout = Layout::tokens, .shape = {3, 4}}};
  return output;
}

double cosine(const Tensor& a, const Tensor& b) {
  return (a * b).sum().item<double>() / std::sqrt(a.square().sum().item<double>() * b.square().sum().item<double>());
}

struct Pair {
  Tensor teacher, student;
};

Pair random_pair(int64_t images, int64_t width) {
  at::manual_seed(8);
  const Tensor teacher = at::randn({images, width}, at::kDouble);
  return {teacher, teacher + 0.3 * at::randn({images, width}, at::kDouble)};
}

TEST(FeatureMetrics, AreCosineAndRelativeErrorOfEveryPart) {
  const Output output = pooled_and_tokens();
  const auto [teacher, student] = random_pair(3, 16);
  const Tensor errors = feature_errors(output, teacher, student);
  for (int64_t image = 0; image < 3; ++image) {
    const Tensor wanted = teacher[image], given = student[image];
    EXPECT_NEAR(errors[image][0][0].item<double>(), cosine(wanted.slice(0, 0, 4), given.slice(0, 0, 4)), 1e-9);
    double mean = 0;
    for (int64_t token = 0; token < 3; ++token) {
      const int64_t at = 4 + 4 * token;
      mean += cosine(wanted.slice(0, at, at + 4), given.slice(0, at, at + 4)) / 3;
    }
    EXPECT_NEAR(errors[image][1][0].item<double>(), mean, 1e-9);
    const Tensor tokens = wanted.slice(0, 4), difference = given.slice(0, 4) - tokens;
    EXPECT_NEAR(errors[image][1][1].item<double>(),
                difference.square().sum().item<double>() / tokens.square().sum().item<double>(), 1e-9);
  }
}

TEST(FeatureMetrics, OfBatchesAddUpToMeanAndStandardError) {
  const Output output = pooled_and_tokens();
  const auto [teacher, student] = random_pair(6, 16);
  const Tensor errors = feature_errors(output, teacher, student);
  const auto figures = figures_of(output, sums_of(errors.narrow(0, 0, 2)) + sums_of(errors.narrow(0, 2, 4)), 6);
  ASSERT_EQ(figures.size(), 2U);
  EXPECT_EQ(figures[1].part, "tokens");
  const Tensor cosines = errors.select(1, 1).select(1, 0);
  EXPECT_NEAR(figures[1].cosine.value.value(), cosines.mean().item<double>(), 1e-12);
  EXPECT_NEAR(figures[1].cosine.error.value(), at::std(cosines, /*unbiased=*/true).item<double>() / std::sqrt(6.0), 1e-9);
}

TEST(FeatureMetrics, ThatAreTheSameHaveCosineOneAndNoError) {
  const Tensor teacher = random_pair(2, 16).teacher;
  const Tensor errors = feature_errors(pooled_and_tokens(), teacher, teacher);
  EXPECT_LT((errors.select(2, 0) - 1).abs().max().item<double>(), 1e-12);
  EXPECT_EQ(errors.select(2, 1).abs().max().item<double>(), 0.0);
}

TEST(NearestMeans, AreOfTheTeachersImagesInEvenPlacesAndScoreTheOthers) {
  at::manual_seed(9);
  constexpr int64_t images = 24, classes = 3;
  const Tensor centres = at::randn({classes, 5}, at::kDouble);
  const Tensor labels = at::arange(images, at::kLong) % classes + 100;  // any numbers
  const Tensor teacher = centres.index_select(0, labels - 100) + 0.8 * at::randn({images, 5}, at::kDouble);
  const Tensor student = teacher + 0.8 * at::randn({images, 5}, at::kDouble);
  std::vector<Tensor> means;
  for (int64_t label = 0; label < classes; ++label) {
    Tensor sum = at::zeros({5}, at::kDouble);
    for (int64_t i = label; i < images; i += 2 * classes) sum += teacher[i] / teacher[i].norm();
    means.push_back(sum);
  }
  const auto nearest = [&](const Tensor& feature) {
    int64_t best = 0;
    for (int64_t label = 1; label < classes; ++label) {
      if (cosine(feature, means[label]) > cosine(feature, means[best])) best = label;
    }
    return best;
  };
  double teacher_right = 0, student_right = 0, tested = 0;
  for (int64_t i = 0; i < images; ++i) {
    if (i / classes % 2 == 0) continue;
    tested += 1;
    teacher_right += nearest(teacher[i]) == i % classes ? 1 : 0;
    student_right += nearest(student[i]) == i % classes ? 1 : 0;
  }
  const EvaluationCounts counts = count_nearest_means(teacher, student, labels);
  EXPECT_EQ(counts.images, tested);
  EXPECT_EQ(counts.teacher_top1, teacher_right);
  EXPECT_EQ(counts.student_top1, student_right);
  EXPECT_NE(teacher_right, student_right);  // so that exchanging them would show
}

TEST(NearestMeans, OfClassesWithOneImageEachScoreNothing) {
  const Tensor features = at::randn({3, 4}, at::kDouble);
  EXPECT_EQ(count_nearest_means(features, features, at::arange(3, at::kLong)).images, 0);
}

}  // namespace
}  // namespace eidolon
