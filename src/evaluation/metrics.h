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
  double agreement = 0;           ///< same top-1 class as the teacher
  double kl = 0, kl_squared = 0;  ///< KL(teacher || student) in nats, and its square (for the error)
  double lost = 0, gained = 0;    ///< teacher right and student wrong; the reverse

  EvaluationCounts& operator+=(const EvaluationCounts& other);
  Tensor to_tensor() const;  ///< float64, for the all-reduce
  static EvaluationCounts from_tensor(const Tensor& tensor);
};

/// logits float32 B x C; labels int64 B. Top-k ties are broken towards the lower class index.
EvaluationCounts count(const Tensor& teacher_logits, const Tensor& student_logits, const Tensor& labels);

struct Figure {
  double value = 0;
  double error = 0;
};  ///< one standard error

struct EvaluationFigures {
  int64_t images = 0;
  Figure teacher_top1, teacher_top5, top1, top5, agreement, kl;
  int64_t lost = 0, gained = 0;
  Figure kept;  ///< student's top-1 over the teacher's; paired error sqrt(lost + gained) / teacher-correct
};

EvaluationFigures figures_of(const EvaluationCounts& counts);

}  // namespace eidolon
