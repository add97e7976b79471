#include "evaluation/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "base/error.h"

namespace eidolon {
namespace {

using Row = std::vector<double>;

Row row_of(const Tensor& logits, int64_t i) {
  const Tensor row = logits[i].to(at::kDouble).contiguous();
  return {row.const_data_ptr<double>(), row.const_data_ptr<double>() + row.numel()};
}

/// Classes from the most to the least probable, equal ones by index.
std::vector<int64_t> order_of(const Row& logits) {
  std::vector<int64_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return logits[a] > logits[b]; });
  return order;
}

bool within(const std::vector<int64_t>& order, int64_t label, size_t k) {
  const auto end = order.begin() + static_cast<int64_t>(std::min(k, order.size()));
  return std::find(order.begin(), end, label) != end;
}

double divergence(const Row& teacher, const Row& student) {
  const auto normalizer = [](const Row& row) {
    return std::log(std::accumulate(row.begin(), row.end(), 0.0, [](double sum, double x) { return sum + std::exp(x); }));
  };
  const double teacher_sum = normalizer(teacher), student_sum = normalizer(student);
  double kl = 0;
  for (size_t c = 0; c < teacher.size(); ++c) {
    kl += std::exp(teacher[c] - teacher_sum) * ((teacher[c] - teacher_sum) - (student[c] - student_sum));
  }
  return kl;
}

EvaluationCounts brute_force(const Tensor& teacher, const Tensor& student, const Tensor& labels) {
  EvaluationCounts counts;
  for (int64_t i = 0; i < labels.size(0); ++i) {
    const Row t = row_of(teacher, i), s = row_of(student, i);
    const auto teacher_order = order_of(t), student_order = order_of(s);
    const auto label = labels[i].item<int64_t>();
    const bool teacher_right = within(teacher_order, label, 1), student_right = within(student_order, label, 1);
    const double kl = divergence(t, s);
    counts += {1,
               double(teacher_right),
               double(within(teacher_order, label, 5)),
               double(student_right),
               double(within(student_order, label, 5)),
               double(teacher_order[0] == student_order[0]),
               kl,
               kl * kl,
               double(teacher_right && !student_right),
               double(student_right && !teacher_right)};
  }
  return counts;
}

void expect_equal(const EvaluationCounts& a, const EvaluationCounts& b) {
  EXPECT_TRUE(a.to_tensor().allclose(b.to_tensor(), 1e-10, 1e-12)) << a.to_tensor() << b.to_tensor();
}

/// Logits on a coarse grid, so that ties are frequent.
Tensor coarse_logits(int64_t rows, int64_t classes, uint32_t seed) {
  std::mt19937 random(seed);
  Tensor logits = at::empty({rows, classes}, at::kFloat);
  for (int64_t i = 0; i < logits.numel(); ++i) {
    logits.mutable_data_ptr<float>()[i] = static_cast<float>(random() % 7) / 2.0F - 1.0F;
  }
  return logits;
}

TEST(Metrics, EqualBruteForceWithTies) {
  for (const int64_t classes : {2, 5, 13}) {
    const Tensor teacher = coarse_logits(200, classes, 1);
    const Tensor student = (teacher + 0.5 * coarse_logits(200, classes, 2)).contiguous();
    const Tensor labels = at::arange(200, at::kLong).remainder(classes);
    expect_equal(count(teacher, student, labels), brute_force(teacher, student, labels));
  }
}

TEST(Metrics, AreSumsOverBatches) {
  const Tensor teacher = coarse_logits(31, 8, 3), student = coarse_logits(31, 8, 4);
  const Tensor labels = at::arange(31, at::kLong).remainder(8);
  EvaluationCounts parts = count(teacher.narrow(0, 0, 12), student.narrow(0, 0, 12), labels.narrow(0, 0, 12));
  parts += count(teacher.narrow(0, 12, 19), student.narrow(0, 12, 19), labels.narrow(0, 12, 19));
  parts += count(teacher.narrow(0, 31, 0), student.narrow(0, 31, 0), labels.narrow(0, 31, 0));
  expect_equal(parts, count(teacher, student, labels));
}

TEST(Metrics, SurviveTheWayThroughATensor) {
  const EvaluationCounts counts{9, 8, 7, 6, 5, 4, 3, 2, 1, 0.5, 0.25, 0.125};
  expect_equal(EvaluationCounts::from_tensor(counts.to_tensor()), counts);
  EXPECT_EQ(counts.to_tensor().scalar_type(), at::kDouble);
  EXPECT_THROW(EvaluationCounts::from_tensor(at::zeros({3}, at::kDouble)), Fault);
}

TEST(Metrics, NeverCountNaNAsRightAndCountTheImagesThatHaveIt) {
  const Tensor teacher = coarse_logits(4, 6, 5);
  Tensor broken = at::full({4, 6}, std::numeric_limits<float>::quiet_NaN());
  broken[3] = teacher[3];
  const EvaluationCounts counts = count(teacher, broken, teacher.argmax(1));
  EXPECT_EQ(counts.student_top1, 1);
  EXPECT_EQ(counts.student_top5, 1);
  EXPECT_EQ(counts.agreement, 1);
  EXPECT_EQ(counts.student_not_finite, 3);
  EXPECT_EQ(counts.teacher_not_finite, 0);
  EXPECT_EQ(counts.kl, 0);
}

TEST(Metrics, CountImagesWithOneInfiniteLogit) {
  const Tensor teacher = coarse_logits(3, 6, 5);
  Tensor broken = teacher.clone();
  broken[1][2] = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(count(teacher, broken, at::zeros({3}, at::kLong)).student_not_finite, 1);
  const EvaluationCounts reversed = count(broken, teacher, at::zeros({3}, at::kLong));
  EXPECT_EQ(reversed.teacher_not_finite, 1);
  EXPECT_TRUE(std::isfinite(reversed.kl));
}

TEST(Metrics, DivergenceOfEqualDistributionsIsNotNegative) {
  const Tensor logits = at::linspace(-3, 3, 700, at::kDouble).reshape({70, 10});
  EXPECT_GE(count(logits, logits + 1.7, at::zeros({70}, at::kLong)).kl, 0);
}

TEST(Metrics, RefuseShapesAndLabelsThatDoNotFit) {
  const Tensor logits = coarse_logits(3, 4, 6);
  EXPECT_THROW(count(logits, coarse_logits(3, 5, 6), at::zeros({3}, at::kLong)), BadInput);
  EXPECT_THROW(count(logits, logits, at::zeros({2}, at::kLong)), BadInput);
  EXPECT_THROW(count(logits, logits, at::full({3}, 4, at::kLong)), BadInput);
  EXPECT_THROW(count(logits, logits, at::full({3}, -1, at::kLong)), BadInput);
}

TEST(Metrics, GiveStandardErrors) {
  EvaluationCounts counts;
  counts.images = 650;
  counts.teacher_top1 = 530;
  counts.student_top1 = 520;
  counts.lost = 18;
  counts.gained = 8;
  counts.kl = 65;
  counts.kl_squared = 19.5;
  const EvaluationFigures figures = figures_of(counts);
  EXPECT_EQ(figures.images, 650);
  EXPECT_DOUBLE_EQ(*figures.teacher_top1.value, 530.0 / 650);
  EXPECT_NEAR(*figures.teacher_top1.error, std::sqrt(530.0 / 650 * 120 / 650 / 650), 1e-12);
  EXPECT_DOUBLE_EQ(*figures.kept.value, 520.0 / 530);
  EXPECT_DOUBLE_EQ(*figures.kept.error, std::sqrt(26.0) / 530);
  EXPECT_DOUBLE_EQ(*figures.kl.value, 0.1);
  EXPECT_NEAR(*figures.kl.error, std::sqrt((19.5 - 6.5) / 649 / 650), 1e-12);
  EXPECT_EQ(figures.lost, 18);
  EXPECT_EQ(figures.gained, 8);
  EXPECT_DOUBLE_EQ(*figures.lost_images.value, 18);
  EXPECT_NEAR(*figures.lost_images.error, std::sqrt(18 * (1 - 18.0 / 650)), 1e-12);
}

// A student that repairs more than it breaks has more right answers than its teacher, and still loses some of its teacher's.
TEST(Metrics, TellRetainedAnswersFromTheRatioOfAccuracies) {
  Tensor teacher = at::zeros({100, 4}), student = at::zeros({100, 4});
  const Tensor labels = at::zeros({100}, at::kLong);
  for (int64_t i = 0; i < 100; ++i) {
    teacher[i][i < 80 ? 0 : 1] = 5;            // right on 0..79
    student[i][i >= 6 && i < 90 ? 0 : 2] = 5;  // right on 6..89: 6 lost, 10 gained
  }
  const EvaluationFigures figures = figures_of(count(teacher, student, labels));
  EXPECT_EQ(figures.teacher_correct, 80);
  EXPECT_DOUBLE_EQ(*figures.kept.value, 84.0 / 80);
  EXPECT_DOUBLE_EQ(*figures.retained.value, 74.0 / 80);
  EXPECT_NEAR(*figures.retained.error, std::sqrt(74.0 / 80 * 6 / 80 / 80), 1e-12);
}

TEST(Metrics, HaveAnErrorAtTheEndsToo) {
  EvaluationCounts all;
  all.images = all.teacher_top1 = all.student_top1 = all.agreement = 8;
  const EvaluationFigures figures = figures_of(all);
  EXPECT_DOUBLE_EQ(*figures.agreement.value, 1);
  EXPECT_DOUBLE_EQ(*figures.agreement.error, 1.0 / 9);
  EXPECT_DOUBLE_EQ(*figures.retained.error, 1.0 / 9);
  EXPECT_DOUBLE_EQ(*figures.teacher_top5.value, 0);
  EXPECT_DOUBLE_EQ(*figures.teacher_top5.error, 1.0 / 9);
  EXPECT_DOUBLE_EQ(*figures.kept.error, 1.0 / 8);
  EXPECT_NEAR(*figures.lost_images.error, 8.0 / 9, 1e-12);
}

/// The definition of Wilson's interval, searched: the p that are within z of their own deviations of what was counted.
Interval searched_interval(double counted, double all, double z) {
  constexpr int steps = 200000;
  Interval found{1, 0};
  for (int i = 0; i <= steps; ++i) {
    const double p = double(i) / steps;
    if (std::abs(counted / all - p) > z * std::sqrt(p * (1 - p) / all) + 1e-12) continue;
    found.low = std::min(found.low, p);
    found.high = std::max(found.high, p);
  }
  return found;
}

TEST(Metrics, WilsonsIntervalIsTheOneItsDefinitionGives) {
  for (const double all : {1.0, 8.0, 359.0}) {
    for (const double part : {0.0, 0.125, 0.5, 1.0}) {
      for (const double z : {1.0, 3.0}) {
        const double counted = std::floor(part * all);
        const Interval interval = wilson_interval(counted, all, z), expected = searched_interval(counted, all, z);
        EXPECT_NEAR(interval.low, expected.low, 1e-5) << counted << " of " << all;
        EXPECT_NEAR(interval.high, expected.high, 1e-5) << counted << " of " << all;
      }
    }
  }
  // The error at an end reaches to where the one-sigma interval does.
  EXPECT_NEAR(*fraction_of(8, 8, "").error, 1 - searched_interval(8, 8, 1).low, 1e-5);
}

TEST(Metrics, KnowChanceFromKnowledgeAndFromTooFewImages) {
  EXPECT_TRUE(is_at_chance(36, 359, 10));
  EXPECT_TRUE(is_at_chance(0, 570, 1000));
  EXPECT_TRUE(is_at_chance(50, 100, 2));
  EXPECT_FALSE(is_at_chance(90, 100, 2));
  EXPECT_FALSE(is_at_chance(6, 570, 1000));  // ten times chance
  EXPECT_FALSE(is_at_chance(350, 359, 10));
  EXPECT_FALSE(is_at_chance(0, 3, 10));  // bad luck
  EXPECT_FALSE(is_at_chance(1, 1, 10));
  EXPECT_FALSE(is_at_chance(0, 0, 10));
}

TEST(Metrics, ErrorOfTheMeanDivergenceIsTheTextbookOne) {
  const Tensor teacher = coarse_logits(40, 6, 8), student = coarse_logits(40, 6, 9);
  std::vector<double> values;
  for (int64_t i = 0; i < 40; ++i) {
    values.push_back(divergence(row_of(teacher, i), row_of(student, i)));
  }
  const Figure kl = figures_of(count(teacher, student, at::zeros({40}, at::kLong))).kl;
  const Tensor sample = at::tensor(values, at::kDouble);
  EXPECT_NEAR(*kl.value, sample.mean().item<double>(), 1e-12);
  EXPECT_NEAR(*kl.error, sample.std().item<double>() / std::sqrt(40.0), 1e-12);
}

TEST(Metrics, SayWhatIsUndefinedAndWhy) {
  const EvaluationFigures none = figures_of({});
  EXPECT_EQ(none.images, 0);
  for (const Figure& figure : {none.top1, none.kept, none.retained, none.kl, none.lost_images}) {
    EXPECT_FALSE(figure.value.has_value() || figure.error.has_value());
    EXPECT_FALSE(figure.undefined.empty());
  }
  EvaluationCounts one;
  one.images = 1;
  one.kl = 0.25;
  const EvaluationFigures figures = figures_of(one);
  EXPECT_DOUBLE_EQ(*figures.kl.value, 0.25);
  EXPECT_FALSE(figures.kl.error.has_value());
  EXPECT_EQ(figures.kl.undefined, "one image");
  EXPECT_EQ(figures.retained.undefined, "the teacher is never right");
  EXPECT_EQ(figures.top1.undefined, "");
}

}  // namespace
}  // namespace eidolon
