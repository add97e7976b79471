#include "evaluation/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "model/readout.h"

namespace eidolon {
namespace {

constexpr std::array kFields = {
    &EvaluationCounts::images,       &EvaluationCounts::teacher_top1,       &EvaluationCounts::teacher_top5,
    &EvaluationCounts::student_top1, &EvaluationCounts::student_top5,       &EvaluationCounts::agreement,
    &EvaluationCounts::kl,           &EvaluationCounts::kl_squared,         &EvaluationCounts::lost,
    &EvaluationCounts::gained,       &EvaluationCounts::teacher_not_finite, &EvaluationCounts::student_not_finite};
constexpr auto kFieldCount = static_cast<int64_t>(kFields.size());
static_assert(sizeof(EvaluationCounts) == kFieldCount * sizeof(double), "every count belongs in kFields");

/// int64 B: how many classes stand before class[i] in row i. NaN stands before everything (the comparisons are negated).
Tensor rank_of(const Tensor& logits, const Tensor& classes) {
  const Tensor own = logits.gather(1, classes.unsqueeze(1));
  const Tensor earlier = at::arange(logits.size(1), classes.options()).unsqueeze(0) < classes.unsqueeze(1);
  const Tensor is_own = logits.new_zeros(logits.sizes(), at::kBool).scatter(1, classes.unsqueeze(1), true);
  const Tensor before = at::where(earlier, logits.lt(own).logical_not(), logits.le(own).logical_not());
  return (before.logical_and(is_own.logical_not())).sum(1) + own.squeeze(1).isnan().to(at::kLong) * logits.size(1);
}

void check_shapes(const Tensor& teacher, const Tensor& student, const Tensor& labels) {
  const bool fits = teacher.dim() == 2 && teacher.size(1) > 0 && teacher.sizes() == student.sizes() && labels.dim() == 1 &&
                    labels.size(0) == teacher.size(0) && labels.scalar_type() == at::kLong;
  if (!fits) {
    throw BadInput("evaluation needs teacher and student logits of one shape (images x classes) and one int64 label per image");
  }
  if (labels.lt(0).logical_or(labels.ge(teacher.size(1))).any().item<bool>()) {
    throw BadInput("a label is outside the model's classes 0.." + std::to_string(teacher.size(1) - 1));
  }
}

double total(const Tensor& tensor) {
  return tensor.sum(at::kDouble).item<double>();
}

/// bool B: whether every logit of the image is a number.
Tensor all_finite(const Tensor& logits) {
  return logits.isfinite().all(1);
}

/// A fraction of the images as their number.
Figure number_of(double counted, double images) {
  Figure figure = fraction_of(counted, images, "no image");
  if (figure.value) figure = {counted, figure.error.value() * images};
  return figure;
}

Figure ratio_of_accuracies(const EvaluationCounts& counts) {
  if (counts.teacher_top1 <= 0) return {std::nullopt, std::nullopt, "the teacher is never right"};
  const double differing = std::max(1.0, counts.lost + counts.gained);
  return {counts.student_top1 / counts.teacher_top1, std::sqrt(differing) / counts.teacher_top1};
}

}  // namespace

EvaluationCounts& EvaluationCounts::operator+=(const EvaluationCounts& other) {
  for (const auto field : kFields) {
    this->*field += other.*field;
  }
  return *this;
}

Tensor EvaluationCounts::to_tensor() const {
  Tensor tensor = at::empty({kFieldCount}, at::kDouble);
  for (int64_t i = 0; i < kFieldCount; ++i) {
    tensor.mutable_data_ptr<double>()[i] = this->*kFields[i];
  }
  return tensor;
}

EvaluationCounts EvaluationCounts::from_tensor(const Tensor& tensor) {
  if (tensor.dim() != 1 || tensor.size(0) != kFieldCount) {
    throw Fault("evaluation counts have another length than this version writes; run every rank from the same build");
  }
  const Tensor values = tensor.to(at::kCPU, at::kDouble).contiguous();
  EvaluationCounts counts;
  for (int64_t i = 0; i < kFieldCount; ++i) {
    counts.*kFields[i] = values.const_data_ptr<double>()[i];
  }
  return counts;
}

EvaluationCounts count(const Tensor& teacher_logits, const Tensor& student_logits, const Tensor& labels) {
  check_shapes(teacher_logits, student_logits, labels);
  const Tensor teacher = teacher_logits.to(at::kCPU, at::kDouble);
  const Tensor student = student_logits.to(at::kCPU, at::kDouble);
  const Tensor truth = labels.cpu();

  const Tensor teacher_rank = rank_of(teacher, truth);
  const Tensor student_rank = rank_of(student, truth);
  const Tensor teacher_right = teacher_rank.eq(0);
  const Tensor student_right = student_rank.eq(0);
  // Not below 0, where rounding may put two equal distributions.
  const Tensor apart = divergence({.kind = Output::Kind::classes, .size = teacher.size(1)}, teacher, student).clamp_min(0);
  const Tensor finite = all_finite(teacher).logical_and(all_finite(student));
  const Tensor kl = at::where(finite, apart, at::zeros_like(apart));

  EvaluationCounts counts;
  counts.images = static_cast<double>(truth.size(0));
  counts.teacher_top1 = total(teacher_right);
  counts.teacher_top5 = total(teacher_rank.lt(5));
  counts.student_top1 = total(student_right);
  counts.student_top5 = total(student_rank.lt(5));
  counts.agreement = total(rank_of(student, teacher.argmax(1)).eq(0));
  counts.kl = total(kl);
  counts.kl_squared = total(kl.square());
  counts.lost = total(teacher_right.logical_and(student_right.logical_not()));
  counts.gained = total(student_right.logical_and(teacher_right.logical_not()));
  counts.teacher_not_finite = total(all_finite(teacher).logical_not());
  counts.student_not_finite = total(all_finite(student).logical_not());
  return counts;
}

Figure mean_of(double sum, double sum_of_squares, double images) {
  if (images <= 0) return {std::nullopt, std::nullopt, "no image"};
  const double mean = sum / images;
  if (images < 2) return {mean, std::nullopt, "one image"};
  const double variance = std::max(0.0, sum_of_squares - images * mean * mean) / (images - 1.0);
  return {mean, std::sqrt(variance / images)};
}

Interval wilson_interval(double counted, double all, double z) {
  if (all <= 0) return {};
  const double p = counted / all, spread = z * z / all;
  const double centre = p + spread / 2, half = z * std::sqrt(p * (1 - p) / all + spread / (4 * all));
  return {std::max(0.0, (centre - half) / (1 + spread)), std::min(1.0, (centre + half) / (1 + spread))};
}

Figure fraction_of(double counted, double all, const std::string& none) {
  if (all <= 0) return {std::nullopt, std::nullopt, none};
  const double p = counted / all;
  if (p > 0 && p < 1) return {p, std::sqrt(p * (1 - p) / all)};
  return {p, 1 / (all + 1)};
}

bool is_at_chance(double right, double images, int64_t classes) {
  const double chance = 1.0 / static_cast<double>(std::max<int64_t>(classes, 1));
  const Interval likely = wilson_interval(right, images, 3);
  return likely.low <= chance && likely.high < (1 + chance) / 2;
}

EvaluationFigures figures_of(const EvaluationCounts& counts) {
  const auto of_images = [&](double counted) { return fraction_of(counted, counts.images, "no image"); };
  EvaluationFigures figures;
  figures.images = std::llround(counts.images);
  figures.teacher_correct = std::llround(counts.teacher_top1);
  figures.teacher_top1 = of_images(counts.teacher_top1);
  figures.teacher_top5 = of_images(counts.teacher_top5);
  figures.top1 = of_images(counts.student_top1);
  figures.top5 = of_images(counts.student_top5);
  figures.agreement = of_images(counts.agreement);
  figures.kl = mean_of(counts.kl, counts.kl_squared, counts.images);
  figures.lost = std::llround(counts.lost);
  figures.gained = std::llround(counts.gained);
  figures.lost_images = number_of(counts.lost, counts.images);
  figures.gained_images = number_of(counts.gained, counts.images);
  figures.retained = fraction_of(counts.teacher_top1 - counts.lost, counts.teacher_top1, "the teacher is never right");
  figures.kept = ratio_of_accuracies(counts);
  return figures;
}

}  // namespace eidolon
