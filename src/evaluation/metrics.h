// Evaluation metrics and their standard errors.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/tensor.h"

namespace eidolon {

/// Sums over images, to be added over batches and ranks.
struct EvaluationCounts {
  double images = 0;
  double teacher_top1 = 0, teacher_top5 = 0;
  double student_top1 = 0, student_top5 = 0;
  double agreement = 0;                                   ///< same top-1 class as the teacher
  double kl = 0, kl_squared = 0;                          ///< KL(teacher || student) in nats, and its square (for the error)
  double lost = 0, gained = 0;                            ///< teacher right and student wrong; the reverse
  double teacher_not_finite = 0, student_not_finite = 0;  ///< images with a NaN or infinite logit, left out of `kl`

  EvaluationCounts& operator+=(const EvaluationCounts& other);
  Tensor to_tensor() const;  ///< float64, for the all-reduce
  static EvaluationCounts from_tensor(const Tensor& tensor);
};

/// Logits are floating-point B x C, labels int64 B in [0, C). Ties of the top k are broken towards the lower class
/// index, and a NaN logit is never correct. To count a teacher alone, pass its logits twice. Throws BadInput for other
/// shapes and labels.
EvaluationCounts count(const Tensor& teacher_logits, const Tensor& student_logits, const Tensor& labels);

/// A measured value and its standard error. A value that the counts do not define is absent, and `undefined` says why.
struct Figure {
  std::optional<double> value;
  std::optional<double> error;
  std::string undefined = {};
};

/// The mean over images from sums, and its standard error.
Figure mean_of(double sum, double sum_of_squares, double images);

/// The fraction p = counted / all. Its error is the binomial sqrt(p (1 - p) / all). For p = 0 and p = 1, where this is
/// 0, it is the length of the one-sigma Wilson interval, 1 / (all + 1). Undefined if `all` is 0; the reason is then
/// `none`.
Figure fraction_of(double counted, double all, const std::string& none);

struct Interval {
  double low = 0, high = 1;
};

/// Wilson's interval for a fraction f = counted / n at z standard deviations, with n = all: the p with |f - p| <= z
/// sqrt(p (1 - p) / n). These are (f + z^2 / 2n +- z sqrt(f (1 - f) / n + z^2 / 4n^2)) / (1 + z^2 / n). It is [0, 1] if
/// n is 0.
Interval wilson_interval(double counted, double all, double z);

/// Whether an accuracy is that of guessing: its three-sigma Wilson interval contains 1 / classes and ends below the
/// middle between that and 1. The second condition is never met by a few images.
bool is_at_chance(double right, double images, int64_t classes);

/// The metrics of a student against its teacher. Without images none is defined. For one image the error of a mean is
/// not defined. If the teacher is never correct, `retained` and `kept` are not defined.
struct EvaluationFigures {
  int64_t images = 0, teacher_correct = 0;
  Figure teacher_top1, teacher_top5, top1, top5, agreement, kl;  ///< fractions of the images; KL in nats
  int64_t lost = 0, gained = 0;
  Figure lost_images, gained_images;  ///< the same with their errors
  Figure retained;                    ///< 1 - lost / teacher_correct: the fraction of the teacher's correct answers
  /// The student's top-1 accuracy over the teacher's. It counts gained answers, so it may exceed 1. Its paired error is
  /// sqrt(lost + gained) / teacher_correct, with lost + gained at least 1.
  Figure kept;
};

EvaluationFigures figures_of(const EvaluationCounts& counts);

}  // namespace eidolon
