// What evaluation counts, and its standard errors.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/tensor.h"

namespace eidolon {

/// Sums over images; add up over batches and ranks.
struct EvaluationCounts {
  double images = 0;
  double teacher_top1 = 0, teacher_top5 = 0;
  double student_top1 = 0, student_top5 = 0;
  double agreement = 0;                                   ///< same top-1 class as the teacher
  double kl = 0, kl_squared = 0;                          ///< KL(teacher || student) in nats, and its square (for the error)
  double lost = 0, gained = 0;                            ///< teacher right and student wrong; the reverse
  double teacher_not_finite = 0, student_not_finite = 0;  ///< images with a NaN or infinite logit; they add nothing to kl

  EvaluationCounts& operator+=(const EvaluationCounts& other);
  Tensor to_tensor() const;  ///< float64, for the all-reduce
  static EvaluationCounts from_tensor(const Tensor& tensor);
};

/// logits floating-point B x C; labels int64 B in [0, C). Top-k ties are broken towards the lower class index, and a class
/// whose logit is NaN is never right. To count a teacher alone, pass its logits twice. Throws BadInput for other shapes and
/// labels.
EvaluationCounts count(const Tensor& teacher_logits, const Tensor& student_logits, const Tensor& labels);

/// A measured value with one standard error. What the counts do not define is absent, and `undefined` says why.
struct Figure {
  std::optional<double> value;
  std::optional<double> error;
  std::string undefined = {};
};

/// The part `counted` of `all`. Its error is the binomial sqrt(p (1 - p) / all). Where this is 0, at p = 0 and p = 1, it is the
/// length of the one-sigma Wilson interval, 1 / (all + 1): eight right of eight leave room for a ninth that is wrong.
/// Undefined without any: the reason is then `none`.
Figure fraction_of(double counted, double all, const std::string& none);

struct Interval {
  double low = 0, high = 1;
};

/// Wilson's interval for the fraction counted / all at z standard deviations: all p with |counted / all - p| <= z sqrt(p (1 -
/// p) / all). That is (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n). Everything is possible if all is 0.
Interval wilson_interval(double counted, double all, double z);

/// Whether a classifier that was right so often shows no sign of knowing its classes. Its three-sigma Wilson interval reaches
/// down to 1 / classes, and ends below half way between that and 1. So a few images alone never say it.
bool is_at_chance(double right, double images, int64_t classes);

/// Figures of a student against its teacher. Without images none is defined; of one image, the error of a mean is not; where
/// the teacher is never right, `retained` and `kept` are not.
struct EvaluationFigures {
  int64_t images = 0, teacher_correct = 0;
  Figure teacher_top1, teacher_top5, top1, top5, agreement, kl;  ///< fractions of the images; KL in nats
  int64_t lost = 0, gained = 0;
  Figure lost_images, gained_images;  ///< the same with their errors
  Figure retained;                    ///< 1 - lost / teacher_correct: of the teacher's correct answers, those the student gives
  /// The ratio of accuracies, student's top-1 over the teacher's. It counts gained answers, so it may exceed 1. Paired error
  /// sqrt(lost + gained) / teacher_correct; where no answer differs, as if one did.
  Figure kept;
};

EvaluationFigures figures_of(const EvaluationCounts& counts);

}  // namespace eidolon
