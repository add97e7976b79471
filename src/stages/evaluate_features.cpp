#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "cluster/on_root.h"
#include "evaluation/feature_metrics.h"
#include "stages/evaluation_parts.h"
#include "stages/figure_text.h"
#include "stages/labelled_pass.h"
#include "storage/safetensors.h"

namespace eidolon {
namespace {

using nlohmann::ordered_json;

/// One row per image of the list; the same on all ranks in the end.
struct Gathered {
  Tensor seen;                   ///< N: 1 where an image was decoded
  std::vector<Tensor> features;  ///< N x D of the teacher, then of each student
  std::vector<Tensor> errors;    ///< of each student: N x parts x 2
};

/// Nothing is gathered where a stop was requested.
bool gather(const RunContext& context, const std::vector<LabelledImage>& images, const std::vector<NamedStudent>& students,
            std::vector<std::string>& undecodable, Gathered& all) {
  const Network teacher = context.teacher_on_device();
  const Output& output = teacher.plan->output;
  const auto rows = static_cast<int64_t>(images.size());
  all.seen = at::zeros({rows});
  const auto keep = [&](Tensor& into, const Tensor& where, const Tensor& values) {
    std::vector<int64_t> shape = values.sizes().vec();
    shape[0] = rows;
    if (!into.defined()) into = at::zeros(shape, values.options());
    into.index_copy_(0, where, values);
  };
  all.features.resize(1 + students.size());
  all.errors.resize(students.size());
  const bool finished = pass_over(context, images, undecodable, [&](const LabelledInput& batch) {
    const Tensor wanted = forward(teacher, batch.images).cpu();
    all.seen.index_fill_(0, batch.rows, 1);
    keep(all.features[0], batch.rows, one_feature(output, wanted));
    for (size_t s = 0; s < students.size(); ++s) {
      const Tensor given = forward(students[s].student.model, batch.images, activation_tap(students[s].student)).cpu();
      keep(all.features[1 + s], batch.rows, one_feature(output, given));
      keep(all.errors[s], batch.rows, feature_errors(output, wanted, given));
    }
  });
  if (!finished) return false;
  // A rank without a decoded image has nothing of the right shape, and takes part with zeros.
  const int64_t parts = output.parts.empty() ? 1 : static_cast<int64_t>(output.parts.size());
  const Tensor probe = one_feature(output, at::zeros({1, output.size}));
  const Communicator& communicator = context.cluster.communicator;
  communicator.all_reduce_sum(all.seen);
  for (Tensor& features : all.features) {
    if (!features.defined()) features = at::zeros({rows, probe.size(1)});
    communicator.all_reduce_sum(features);
  }
  for (Tensor& errors : all.errors) {
    if (!errors.defined()) errors = at::zeros({rows, parts, 2}, at::kDouble);
    communicator.all_reduce_sum(errors);
  }
  return true;
}

ordered_json student_json(const std::vector<PartFigures>& parts, const EvaluationFigures& nearest) {
  ordered_json object;
  for (const PartFigures& part : parts) {
    object[part.part] = json_of({{"cosine", part.cosine}, {"relative_error", part.relative_error}});
  }
  object["nearest_mean"] = json_of({{"top1", nearest.top1}, {"retained", nearest.retained}, {"kept", nearest.kept}});
  return object;
}

std::string text_of(const std::string& name, const std::vector<PartFigures>& parts, const EvaluationFigures& nearest) {
  std::string text, start = indented(name);
  for (const PartFigures& part : parts) {
    text += start + part.part + ": cosine " + nats_text(part.cosine) + "  relative squared error " +
            nats_text(part.relative_error) + "\n";
    start = indented("");
  }
  return text + start + "nearest class mean " + percent_text(nearest.top1) + ", ratio of accuracies " +
         percent_text(nearest.kept) + "\n";
}

}  // namespace

ExitCode evaluate_features(const RunContext& context, const EvaluateOptions& options, const LabelledSet& labelled,
                           const std::vector<NamedStudent>& students) {
  const Communicator& communicator = context.cluster.communicator;
  if (!options.logits.empty()) throw_once(communicator, BadInput("--logits: the teacher has no classes and gives no logits"));
  std::vector<std::string> undecodable;
  Gathered all;
  if (!gather(context, labelled.images, students, undecodable, all)) return ExitCode::again;
  const int64_t left_out = report_undecodable(context.cluster, undecodable);
  const Tensor rows = all.seen.nonzero().flatten();
  if (rows.size(0) == 0)
    throw_once(communicator, BadInput(context.job.evaluation.images.string() + ": not one image could be decoded"));
  std::vector<int64_t> every_label;
  for (const LabelledImage& image : labelled.images) every_label.push_back(image.label);
  const Tensor labels = at::tensor(every_label, at::kLong).index_select(0, rows);
  for (Tensor& features : all.features) {
    features = features.index_select(0, rows);
    if (features.isfinite().all().item<bool>()) continue;
    throw_once(communicator, Fault("a feature is NaN or infinite, so that nothing can be said of it; look at the weights, or " +
                                   std::string("make the student anew with more bits or lower learning rates")));
  }

  const EvaluationFigures teacher = figures_of(count_nearest_means(all.features[0], all.features[0], labels));
  ordered_json object{
      {"images", rows.size(0)},
      {"skipped",
       {{"unsupported_format", labelled.unsupported}, {"undecodable", left_out}, {"misplaced", labelled.misplaced}}}};
  if (!labelled.warnings.empty()) object["warnings"] = labelled.warnings;
  object["teacher"] = {{"nearest_mean", json_of({{"top1", teacher.teacher_top1}})}};
  if (!students.empty()) object["data_free"] = context.data_free;
  std::string text = std::to_string(rows.size(0)) + " images from " + context.job.evaluation.images.string() +
                     " (+- one standard error); means of the nearest class from every second image\n" +
                     (context.data_free ? "" : "The student was made from real images (data_free = false).\n") +
                     indented("teacher") + "nearest class mean " + percent_text(teacher.teacher_top1) + "\n";
  const Output& output = context.teacher.model.plan->output;
  for (size_t s = 0; s < students.size(); ++s) {
    const Tensor errors = all.errors[s].index_select(0, rows);
    const auto parts = figures_of(output, sums_of(errors), static_cast<double>(rows.size(0)));
    const EvaluationFigures nearest = figures_of(count_nearest_means(all.features[0], all.features[1 + s], labels));
    object[students[s].name] = student_json(parts, nearest);
    text += text_of(students[s].name, parts, nearest);
  }
  add_branch_bits(students, object, text);
  keep_figures(context, object);
  print_figures(communicator, options, object, text);
  return ExitCode::done;
}

}  // namespace eidolon
