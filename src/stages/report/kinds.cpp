// What each kind of image is to the teacher and to the students: how sure its answers are, how many classes they cover, how far
// its tokens lie from those of the other kinds, and how far the students answer from it. None of that needs a photograph.
#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/linalg_solve_triangular.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "evaluation/metrics.h"
#include "stages/figure_text.h"
#include "stages/report/image_kinds.h"
#include "stages/report/parts.h"

namespace eidolon::parts {
namespace {

using nlohmann::ordered_json;

constexpr size_t most_of_a_kind = 48;
constexpr int64_t batch_size = 16;

/// Added to the diagonal of second moments, as a share of its mean: directions below it count as empty.
constexpr double damping = 0.01;

/// One kind of image as the teacher sees it.
struct KindSeen {
  std::string name;
  Tensor bytes;
  Tensor logits;                ///< the teacher's, N x classes
  std::vector<Tensor> moments;  ///< of each section's tokens or places: mean of [x 1]^T [x 1], float64; undefined of vectors
};

/// Rows are tokens or places, columns channels and a 1, so that the mean is in the moment too.
Tensor moment_of(Layout layout, const Tensor& values) {
  const Tensor channels_last = layout == Layout::maps ? values.movedim(1, -1) : values;
  const Tensor rows = channels_last.reshape({-1, channels_last.size(-1)}).to(at::kDouble);
  const Tensor extended = at::cat({rows, at::ones({rows.size(0), 1}, rows.options())}, 1);
  return extended.t().matmul(extended).cpu() / static_cast<double>(rows.size(0));
}

Tensor normalised_batch(const MeasuredRun& run, const Tensor& bytes, int64_t first) {
  const Tensor batch = bytes.narrow(0, first, std::min(batch_size, bytes.size(0) - first));
  return normalise(run.context.teacher.preprocessing, batch.to(run.context.device()));
}

KindSeen look_at(const MeasuredRun& run, const std::string& name, const std::vector<StoredImage>& images) {
  std::vector<Tensor> bytes, logits;
  for (const StoredImage& image : images) bytes.push_back(image.bytes);
  const Network teacher = run.context.teacher_on_device();
  KindSeen kind{.name = name, .bytes = at::stack(bytes), .logits = {}, .moments = {}};
  kind.moments.resize(teacher.plan->sections.size());
  for (int64_t first = 0; first < kind.bytes.size(0); first += batch_size) {
    const Tensor input = normalised_batch(run, kind.bytes, first);
    const std::vector<Tensor> outputs = forward_outputs(teacher, input);
    logits.push_back(output_of(teacher, outputs).cpu());
    const double share = static_cast<double>(input.size(0)) / static_cast<double>(kind.bytes.size(0));
    for (size_t section = 0; section < outputs.size(); ++section) {
      const Layout layout = teacher.plan->sections[section].output;
      if (layout == Layout::vector) continue;
      const Tensor part = share * moment_of(layout, outputs[section]);
      Tensor& moment = kind.moments[section];
      moment = moment.defined() ? moment + part : part;
    }
  }
  kind.logits = at::cat(logits);
  return kind;
}

Tensor damped(const Tensor& moment) {
  return moment + damping * moment.diagonal().mean() * at::eye(moment.size(0), moment.options());
}

/// Divergence of the Gaussian of second moment `seen` from that of `others`, per dimension:
/// (tr(S^-1 R) - d - log det(S^-1 R)) / 2d with R = seen and S = others. NaN where a moment is not finite.
double divergence(const Tensor& seen, const Tensor& others) {
  const auto [lower, failed] = at::linalg_cholesky_ex(damped(others));
  const auto [own, own_failed] = at::linalg_cholesky_ex(damped(seen));
  if (failed.item<int>() != 0 || own_failed.item<int>() != 0) return NAN;
  // With R = A A^T and S = L L^T, tr(S^-1 R) is the squared norm of L^-1 A, whose determinant is the product of its diagonal.
  const Tensor ratio = at::linalg_solve_triangular(lower, own, /*upper=*/false);
  const auto dimensions = static_cast<double>(seen.size(0));
  const double trace = ratio.square().sum().item<double>(),
               half_determinant = ratio.diagonal().abs().log().sum().item<double>();
  return (trace - dimensions - 2 * half_determinant) / (2 * dimensions);
}

/// By section, from all other kinds together, each with the same weight; null where a section gives no tokens or maps.
ordered_json distances(const std::vector<KindSeen>& kinds, size_t self) {
  ordered_json list = ordered_json::array();
  for (size_t section = 0; section < kinds[self].moments.size(); ++section) {
    Tensor others;
    for (size_t other = 0; other < kinds.size(); ++other) {
      const Tensor& moment = kinds[other].moments[section];
      if (other != self && moment.defined()) others = others.defined() ? others + moment : moment;
    }
    const double distance =
        others.defined() ? divergence(kinds[self].moments[section], others / static_cast<double>(kinds.size() - 1)) : NAN;
    list.push_back(std::isfinite(distance) ? ordered_json(distance) : ordered_json());
  }
  return list;
}

/// Mean largest probability, how many classes are answered at all, and the number of classes that equally frequent answers
/// would have the entropy of.
ordered_json answers_json(const Tensor& logits) {
  const auto images = static_cast<double>(logits.size(0));
  const Tensor probabilities = logits.to(at::kDouble).softmax(-1), largest = probabilities.amax(-1);
  const Tensor mean = probabilities.mean(0);
  ordered_json json =
      json_of({{"confidence", mean_of(largest.sum().item<double>(), largest.square().sum().item<double>(), images)}});
  json["answered"] = (at::bincount(logits.argmax(-1), {}, logits.size(1)) > 0).sum().item<int64_t>();
  json["effective_classes"] = std::exp(-at::xlogy(mean, mean).sum().item<double>());
  return json;
}

ordered_json student_json(const MeasuredRun& run, const KindSeen& kind, const Student& rounded) {
  std::vector<Tensor> logits;
  for (int64_t first = 0; first < kind.bytes.size(0); first += batch_size)
    logits.push_back(forward(rounded.model, normalised_batch(run, kind.bytes, first), activation_tap(rounded)).cpu());
  const EvaluationFigures figures = figures_of(count(kind.logits, at::cat(logits), kind.logits.argmax(-1)));
  return json_of({{"agreement", figures.agreement}, {"kl", figures.kl}});
}

}  // namespace

ordered_json kinds(const MeasuredRun& run) {
  const at::NoGradGuard no_grad;
  const Plan& plan = *run.context.teacher.model.plan;
  if (plan.output.kind != Output::Kind::classes) throw BadInput("the teacher gives features, not classes");
  const auto stored = images_by_kind(run.recorded, most_of_a_kind);
  if (stored.empty()) throw BadInput("no image is on disk");
  std::vector<KindSeen> seen;
  for (const auto& [name, images] : stored) seen.push_back(look_at(run, name, images));
  ordered_json list = ordered_json::array();
  for (size_t i = 0; i < seen.size(); ++i) {
    ordered_json entry{{"kind", seen[i].name}, {"images", seen[i].bytes.size(0)}};
    entry.update(answers_json(seen[i].logits));
    entry["distance"] = distances(seen, i);
    list.push_back(entry);
  }
  for (const ReportedStudent& student : run.students) {
    const Student rounded = with_rounded_weights(student.student);
    for (size_t i = 0; i < seen.size(); ++i) list[i]["students"][student.name] = student_json(run, seen[i], rounded);
  }
  ordered_json sections = ordered_json::array();
  for (const Section& section : plan.sections) sections.push_back(section.name);
  return {{"measured_on", "synthetic"}, {"classes", plan.output.size}, {"sections", sections}, {"kinds", list}};
}

}  // namespace eidolon::parts
