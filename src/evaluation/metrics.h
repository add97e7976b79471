// What evaluation counts, and its standard errors.
#pragma once

#include <cstdint>

#include "base/tensor.h"

namespace eidolon {

/// Sums over images; add up over batches and ranks.
struct EvaluationCounts {
  double images = 0;
  double teacher_top1 = 0, teacher_top5 = 0;
  double student_top1 = 0, student_top5 = 0;
  double agreement = 0;           ///< same top-1 class as the teacher
  double kl = 0, kl_squared = 0;  ///< KL(teacher || student) in nats, and its square (for the error)
  double lost = 0, gained = 0;    ///< teacher right and student wrong; the reverse

  EvaluationCounts& operator+=(const EvaluationCounts& other);
  Tensor to_tensor() const;  ///< float64, for the all-reduce
  static EvaluationCounts from_tensor(const Tensor& tensor);
};

/// logits floating-point B x C; labels int64 B in [0, C). Top-k ties are broken towards the lower class index, and a class
/// whose logit is NaN is never right. To count a teacher alone, pass its logits twice. Throws BadInput for other shapes and
/// labels.
EvaluationCounts count(const Tensor& teacher_logits, const Tensor& student_logits, const Tensor& labels);

struct Figure {
  double value = 0;
  double error = 0;  ///< one standard error
};

/// A value or error that the counts do not define is NaN: all of them without images, the error of a mean of one image, `kept`
/// when the teacher is never right.
struct EvaluationFigures {
  int64_t images = 0;
  Figure teacher_top1, teacher_top5, top1, top5, agreement, kl;  ///< fractions of the images; KL in nats
  int64_t lost = 0, gained = 0;
  Figure kept;  ///< student's top-1 over the teacher's; paired error sqrt(lost + gained) / teacher-correct
};

EvaluationFigures figures_of(const EvaluationCounts& counts);

}  // namespace eidolon
