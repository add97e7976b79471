#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cluster/log.h"
#include "cluster/on_root.h"
#include "evaluation/metrics.h"
#include "quantization/low_rank.h"
#include "reporting/result.h"
#include "stages/evaluation_parts.h"
#include "stages/figure_text.h"
#include "stages/held_out_figures.h"
#include "stages/labelled_pass.h"
#include "stages/labelled_set.h"
#include "stages/stages.h"
#include "stages/student_source.h"
#include "storage/atomic_file.h"
#include "storage/safetensors.h"

namespace eidolon {
namespace {

using nlohmann::ordered_json;

/// The finished student, and, where it was trained, the calibrated one that it came from.
std::vector<NamedStudent> students_of(const RunContext& context) {
  const Student finished = finished_student(context);
  std::vector<NamedStudent> students;
  const auto add = [&](const char* name, const Student& student) {
    students.push_back({name, with_rounded_weights(student.to(context.device()))});
  };
  if (context.job.finetuning.method != "none") {
    add("calibrated", calibrated_checkpoint(context).student);
  }
  add("student", finished);
  return students;
}

/// Logits of all images, for --logits: rows of images of other ranks, and of those that cannot be decoded, are 0.
struct AllLogits {
  std::vector<Tensor> of_model;  ///< the teacher's, then each student's; empty: nobody asked
  Tensor seen;                   ///< 1 where an image was decoded
};

AllLogits room_for_logits(const EvaluateOptions& options, int64_t images, int64_t classes, size_t models) {
  AllLogits logits;
  if (options.logits.empty()) return logits;
  for (size_t i = 0; i < models; ++i) logits.of_model.push_back(at::zeros({images, classes}));
  logits.seen = at::zeros({images});
  return logits;
}

/// Writes what all ranks have seen, in the order of the list. Collective.
void write_logits(const Communicator& communicator, const EvaluationJob& job, const std::filesystem::path& file,
                  const std::vector<LabelledImage>& images, const std::vector<NamedStudent>& students, AllLogits& logits) {
  communicator.all_reduce_sum(logits.seen);
  for (Tensor& rows : logits.of_model) communicator.all_reduce_sum(rows);
  on_root(communicator, [&] {
    const Tensor rows = logits.seen.nonzero().flatten();
    std::vector<int64_t> labels;
    ordered_json names = ordered_json::array();
    for (const int64_t row :
         std::vector<int64_t>(rows.const_data_ptr<int64_t>(), rows.const_data_ptr<int64_t>() + rows.numel())) {
      const LabelledImage& image = images[static_cast<size_t>(row)];
      labels.push_back(image.label);
      names.push_back(image.path.lexically_relative(job.images).generic_string());
    }
    TensorMap tensors{{"labels", at::tensor(labels, at::kLong)}, {"teacher", logits.of_model[0].index_select(0, rows)}};
    for (size_t s = 0; s < students.size(); ++s) tensors[students[s].name] = logits.of_model[1 + s].index_select(0, rows);
    write_safetensors(file, tensors, {{"images", json_text(names)}});
  });
}

/// Counts of the teacher alone (first) and of each student against it, over all ranks; nothing if a stop was requested.
std::optional<std::vector<EvaluationCounts>> count_all(const RunContext& context, const std::vector<LabelledImage>& images,
                                                       const std::vector<NamedStudent>& students,
                                                       std::vector<std::string>& undecodable, AllLogits& logits) {
  const Network teacher = context.teacher_on_device();
  std::vector<EvaluationCounts> counts(1 + students.size());
  const bool finished = pass_over(context, images, undecodable, [&](const LabelledInput& batch) {
    const Tensor reference = forward(teacher, batch.images).cpu();
    counts[0] += count(reference, reference, batch.labels);
    if (logits.seen.defined()) {
      logits.seen.index_fill_(0, batch.rows, 1);
      logits.of_model[0].index_copy_(0, batch.rows, reference);
    }
    for (size_t s = 0; s < students.size(); ++s) {
      const Tensor answers = forward(students[s].student.model, batch.images, activation_tap(students[s].student)).cpu();
      counts[1 + s] += count(reference, answers, batch.labels);
      if (logits.seen.defined()) logits.of_model[1 + s].index_copy_(0, batch.rows, answers);
    }
  });
  if (!finished) return std::nullopt;
  for (EvaluationCounts& entry : counts) {
    Tensor sums = entry.to_tensor();
    context.cluster.communicator.all_reduce_sum(sums);
    entry = EvaluationCounts::from_tensor(sums);
  }
  return counts;
}

ordered_json teacher_json(const EvaluationFigures& f) {
  return json_of({{"top1", f.teacher_top1}, {"top5", f.teacher_top5}});
}

ordered_json student_json(const EvaluationFigures& f) {
  return json_of({{"top1", f.top1},
                  {"top5", f.top5},
                  {"agreement", f.agreement},
                  {"kl", f.kl},
                  {"lost", f.lost_images},
                  {"gained", f.gained_images},
                  {"retained", f.retained},
                  {"kept", f.kept}});
}

std::string student_lines(const std::string& name, const EvaluationFigures& f) {
  return indented(name) + "top-1 " + percent_text(f.top1) + "  top-5 " + percent_text(f.top5) + "  agreement " +
         percent_text(f.agreement) + "  KL " + nats_text(f.kl) + "\n" + indented("") + "retained " + percent_text(f.retained) +
         " of the teacher's " + std::to_string(f.teacher_correct) + " correct answers (" + std::to_string(f.lost) + " lost, " +
         std::to_string(f.gained) + " gained)\n" + indented("") + "ratio of accuracies " + percent_text(f.kept) + "\n";
}

std::string teacher_line(const EvaluationFigures& f) {
  return indented("teacher") + "top-1 " + percent_text(f.teacher_top1) + "  top-5 " + percent_text(f.teacher_top5) + "\n";
}

/// Figures of what is no number mean nothing, so none is printed. Collective.
void require_finite(const Communicator& communicator, const EvaluationCounts& counts, const std::string& name) {
  const auto refuse = [&](const std::string& whose, double broken, const std::string& remedy) {
    const std::string what = whose + ": the logits of " + std::to_string(static_cast<int64_t>(broken)) + " of " +
                             std::to_string(static_cast<int64_t>(counts.images)) +
                             " images are NaN or infinite, so that nothing can be said of it; " + remedy;
    throw_once(communicator, Fault(what));
  };
  if (counts.teacher_not_finite > 0)
    refuse("the teacher", counts.teacher_not_finite, "look at its weights and at mean and std in its config");
  if (counts.student_not_finite > 0)
    refuse(name, counts.student_not_finite, "make it anew in another --run-dir, with more bits or lower learning rates");
}

/// Said, and put beside the other warnings, if the teacher knows nothing of these labels.
void warn_at_chance(const Cluster& cluster, int64_t classes, const EvaluationFigures& teacher,
                    std::vector<std::string>& warnings) {
  if (!is_at_chance(static_cast<double>(teacher.teacher_correct), static_cast<double>(teacher.images), classes)) return;
  warnings.push_back("the teacher is right on " + std::to_string(teacher.teacher_correct) + " of " +
                     std::to_string(teacher.images) + " images, no better than guessing among " + std::to_string(classes) +
                     " classes: the labels may not fit the model; see evaluation.classes, where a class's line is its index, "
                     "and the folders of evaluation.images");
  if (cluster.is_root()) log::warn(warnings.back());
}

ExitCode evaluate_labelled(const RunContext& context, const EvaluateOptions& options, const LabelledSet& labelled) {
  const EvaluationJob& job = context.job.evaluation;
  const std::vector<NamedStudent> students = options.teacher_only ? std::vector<NamedStudent>{} : students_of(context);
  std::vector<std::string> undecodable;
  const int64_t classes = context.teacher.model.plan->output.size;
  AllLogits logits = room_for_logits(options, static_cast<int64_t>(labelled.images.size()), classes, 1 + students.size());
  const auto all_counts = count_all(context, labelled.images, students, undecodable, logits);
  if (!all_counts) return ExitCode::again;
  const std::vector<EvaluationCounts>& counts = *all_counts;
  const int64_t left_out = report_undecodable(context.cluster, undecodable);
  if (counts[0].images == 0)
    throw_once(context.cluster.communicator, BadInput(job.images.string() + ": not one image could be decoded"));
  require_finite(context.cluster.communicator, counts[0], "the teacher");
  for (size_t s = 0; s < students.size(); ++s) require_finite(context.cluster.communicator, counts[1 + s], students[s].name);

  const EvaluationFigures teacher = figures_of(counts[0]);
  std::vector<std::string> warnings = labelled.warnings;
  warn_at_chance(context.cluster, classes, teacher, warnings);
  ordered_json object{
      {"images", teacher.images},
      {"skipped",
       {{"unsupported_format", labelled.unsupported}, {"undecodable", left_out}, {"misplaced", labelled.misplaced}}}};
  if (!warnings.empty()) object["warnings"] = warnings;
  object["teacher"] = teacher_json(teacher);
  if (!students.empty()) object["data_free"] = context.data_free;
  std::string text = std::to_string(teacher.images) + " images from " + job.images.string() + " (+- one standard error)\n" +
                     (context.data_free ? "" : "The student was made from real images (data_free = false).\n") +
                     teacher_line(teacher);
  for (size_t s = 0; s < students.size(); ++s) {
    const EvaluationFigures figures = figures_of(counts[1 + s]);
    object[students[s].name] = student_json(figures);
    text += student_lines(students[s].name, figures);
  }
  add_branch_bits(students, object, text);
  if (!options.logits.empty())
    write_logits(context.cluster.communicator, job, options.logits, labelled.images, students, logits);
  keep_figures(context, object);
  print_figures(context.cluster.communicator, options, object, text);
  return ExitCode::done;
}

/// Without labelled images: the student against the teacher on held-out synthetic images.
ExitCode evaluate_synthetic(const RunContext& context, const EvaluateOptions& options) {
  const std::vector<NamedStudent> students = students_of(context);
  const SynthesisJob& synthesis = context.job.synthesis;
  const std::string kinds = kinds_of(synthesis, held_out_units(synthesis));
  ordered_json object{{"images", 0}, {"kinds", kinds}};
  std::string text = "No labelled images (evaluation.images): figures on held-out synthetic images, which are optimistic.\n";
  for (const NamedStudent& entry : students) {
    const HeldOutFigures figures = held_out_figures(context, entry.student);
    require_finite(context.cluster.communicator, figures.counts, entry.name);
    if (&entry == &students[0]) text += std::to_string(figures.images) + " images: " + kinds + "\n";
    object["images"] = figures.images;
    object[entry.name] = json_of(figures);
    text += describe(entry.name, figures);
  }
  add_branch_bits(students, object, text);
  object["optimistic"] = true;
  keep_figures(context, object);
  print_figures(context.cluster.communicator, options, object, text);
  return ExitCode::done;
}

/// Before the hours of work whose logits are to go there.
void require_place_for_logits(const Job& job, const std::filesystem::path& file, const Communicator& communicator) {
  if (file.empty()) return;
  on_root(communicator, [&] {
    if (job.evaluation.images.empty()) throw BadInput("--logits needs labelled images: set evaluation.images");
    const std::filesystem::path folder = std::filesystem::absolute(file).parent_path();
    if (!std::filesystem::is_directory(folder)) throw BadInput("--logits: there is no folder " + folder.string());
    if (std::filesystem::is_directory(file)) throw BadInput("--logits: " + file.string() + " is a folder; name the file in it");
  });
}

}  // namespace

std::string indented(const std::string& name) {
  return "  " + name + std::string(name.size() < 11 ? 12 - name.size() : 1, ' ');
}

void add_branch_bits(const std::vector<NamedStudent>& students, ordered_json& object, std::string& text) {
  if (students.empty()) return;
  const Student& student = students.front().student;
  const double bits = branch_bits_per_weight(student.quantizers, *student.model.plan);
  if (bits == 0) return;
  object["low_rank_bits_per_weight"] = bits;
  std::array<char, 100> line{};
  std::snprintf(line.data(), line.size(), "low-rank factors add %.3f bits to each rounded weight\n", bits);
  text += line.data();
}

int64_t report_undecodable(const Cluster& cluster, const std::vector<std::string>& undecodable) {
  for (const std::string& reason : undecodable) log::warn("left out: " + reason);
  const auto total = static_cast<int64_t>(cluster.communicator.sum(static_cast<double>(undecodable.size())));
  if (total > 0 && cluster.is_root()) log::warn(std::to_string(total) + " images could not be decoded and were left out");
  return total;
}

void print_figures(const Communicator& communicator, const EvaluateOptions& options, const ordered_json& object,
                   const std::string& text) {
  on_root(communicator, [&] { print_result(options.json ? json_text(object) + "\n" : text); });
}

void keep_figures(const RunContext& context, ordered_json object) {
  if (!context.heartbeat || !context.cluster.is_root()) return;
  object["student_id"] = student_id(context.job, context.identity);
  write_text_atomically(context.run.evaluation(), json_text(object, 1) + "\n");
}

void require_images_to_evaluate(const Job& job, const EvaluateOptions& options, const Communicator& communicator) {
  require_place_for_logits(job, options.logits, communicator);
  if (!job.evaluation.images.empty()) return;
  if (options.teacher_only) throw_once(communicator, BadInput("--teacher-only needs labelled images: set evaluation.images"));
  if (held_out_units(job.synthesis).empty()) {
    throw_once(communicator, BadInput("there would be nothing to evaluate on: 'evaluation.images' is not set, and "
                                      "'synthesis.held_out_images' is 0; set one of them, or run `eidolon synthesize` and "
                                      "`eidolon finetune`, which need neither"));
  }
}

ExitCode evaluate(const RunContext& context, const EvaluateOptions& options, const LabelledSet& labelled) {
  if (context.heartbeat) context.heartbeat->set({"evaluate", ""});
  context.cluster.communicator.barrier();
  if (context.job.evaluation.images.empty()) return evaluate_synthetic(context, options);
  if (context.teacher.model.plan->output.kind == Output::Kind::classes) return evaluate_labelled(context, options, labelled);
  return evaluate_features(context, options, labelled,
                           options.teacher_only ? std::vector<NamedStudent>{} : students_of(context));
}

}  // namespace eidolon
