// How far a student's features are from the teacher's, where there are no classes to answer with.
#pragma once

#include <string>
#include <vector>

#include "evaluation/metrics.h"
#include "model/plan.h"

namespace eidolon {

/// Per image and part of the output: the cosine between teacher and student (its mean over tokens or places), and the relative
/// squared error. teacher, student: B x output.size. Returns float64 B x parts x 2 on the CPU.
Tensor feature_errors(const Output& output, const Tensor& teacher, const Tensor& student);

/// Sums over images of feature_errors and of their squares, to be added over batches and ranks: float64 parts x 2 x 2.
Tensor sums_of(const Tensor& feature_errors);

struct PartFigures {
  std::string part;  ///< its name, or "embedding"
  Figure cosine, relative_error;
};
std::vector<PartFigures> figures_of(const Output& output, const Tensor& sums, double images);

/// One vector per image, B x D: the first part of the output, or the mean over its tokens or places.
Tensor one_feature(const Output& output, const Tensor& outputs);

/// Nearest class mean: of every class the images in even places (in the list's order) make a mean of the teacher's features, of
/// unit length each; the others are scored by the cosine with every mean. Counts as for logits, whose KL means nothing.
///  teacher, student: N x D; labels: int64 N, any numbers.
EvaluationCounts count_nearest_means(const Tensor& teacher, const Tensor& student, const Tensor& labels);

}  // namespace eidolon
