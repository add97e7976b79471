#include "evaluation/feature_metrics.h"

#include <map>

#include "model/readout.h"

namespace eidolon {
namespace {

struct Part {
  std::string name;
  Layout layout;
  Tensor teacher, student;
};

std::vector<Part> parts_of(const Output& output, const Tensor& teacher, const Tensor& student) {
  if (output.parts.empty()) return {{"embedding", Layout::vector, teacher, student}};
  std::vector<Part> parts;
  for (size_t i = 0; i < output.parts.size(); ++i) {
    parts.push_back({output.parts[i].name, output.parts[i].layout, part_of(output, i, teacher), part_of(output, i, student)});
  }
  return parts;
}

Tensor unit_rows(const Tensor& rows) {
  return rows / at::linalg_vector_norm(rows, 2, at::IntArrayRef{-1}, /*keepdim=*/true).clamp_min(1e-12);
}

}  // namespace

Tensor feature_errors(const Output& output, const Tensor& teacher, const Tensor& student) {
  const Tensor wanted = teacher.to(at::kCPU, at::kDouble), given = student.to(at::kCPU, at::kDouble);
  std::vector<Tensor> parts;
  for (const Part& part : parts_of(output, wanted, given)) {
    parts.push_back(at::stack(
        {mean_cosine(part.layout, part.teacher, part.student), relative_squared_error(part.teacher, part.student)}, 1));
  }
  return at::stack(parts, 1);
}

Tensor sums_of(const Tensor& feature_errors) {
  return at::stack({feature_errors.sum(0), feature_errors.square().sum(0)}, -1);
}

std::vector<PartFigures> figures_of(const Output& output, const Tensor& sums, double images) {
  std::vector<PartFigures> figures;
  for (int64_t part = 0; part < sums.size(0); ++part) {
    const auto figure = [&](int64_t of) {
      return mean_of(sums[part][of][0].item<double>(), sums[part][of][1].item<double>(), images);
    };
    const std::string name = output.parts.empty() ? "embedding" : output.parts[static_cast<size_t>(part)].name;
    figures.push_back({.part = name, .cosine = figure(0), .relative_error = figure(1)});
  }
  return figures;
}

Tensor one_feature(const Output& output, const Tensor& outputs) {
  if (output.parts.empty()) return outputs;
  const Tensor first = part_of(output, 0, outputs);
  if (output.parts[0].layout == Layout::tokens) return first.mean(1);
  return output.parts[0].layout == Layout::maps ? first.mean({2, 3}) : first;
}

EvaluationCounts count_nearest_means(const Tensor& teacher, const Tensor& student, const Tensor& labels) {
  std::map<int64_t, std::vector<int64_t>> rows_of_class;
  for (int64_t row = 0; row < labels.size(0); ++row) rows_of_class[labels[row].item<int64_t>()].push_back(row);
  const Tensor wanted = unit_rows(teacher.to(at::kDouble)), given = unit_rows(student.to(at::kDouble));
  std::vector<Tensor> means;
  std::vector<int64_t> tested, classes;
  for (const auto& [label, rows] : rows_of_class) {
    std::vector<int64_t> own;
    for (size_t i = 0; i < rows.size(); ++i) {
      if (i % 2 == 0) {
        own.push_back(rows[i]);
      } else {
        tested.push_back(rows[i]);
        classes.push_back(static_cast<int64_t>(means.size()));
      }
    }
    means.push_back(wanted.index_select(0, at::tensor(own, at::kLong)).mean(0));
  }
  if (tested.empty()) return {};
  const Tensor centres = unit_rows(at::stack(means)), chosen = at::tensor(tested, at::kLong);
  return count(at::matmul(wanted.index_select(0, chosen), centres.t()), at::matmul(given.index_select(0, chosen), centres.t()),
               at::tensor(classes, at::kLong));
}

}  // namespace eidolon
