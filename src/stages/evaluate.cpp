#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cluster/log.h"
#include "cluster/on_root.h"
#include "evaluation/labelled_images.h"
#include "evaluation/metrics.h"
#include "reporting/progress.h"
#include "stages/held_out_figures.h"
#include "stages/labelled_set.h"
#include "stages/stages.h"
#include "stages/student_source.h"

namespace eidolon {
namespace {

using nlohmann::ordered_json;

struct NamedStudent {
  std::string name;  ///< "calibrated" or "student"
  Student student;
};

/// The finished student, and, if asked for and another, the calibrated one that it came from.
std::vector<NamedStudent> students_of(const RunContext& context) {
  auto newest = newest_checkpoint(context);
  if (!newest || newest->position.phase != "finished") {
    throw_once(context.cluster.communicator, BadInput("there is no finished student in " + context.run.root.string() +
                                                      "; run `eidolon finetune` with this job first"));
  }
  std::vector<NamedStudent> students;
  const auto add = [&](const char* name, const Student& student) {
    students.push_back({name, with_rounded_weights(student.to(context.device()))});
  };
  if (context.job.evaluation.calibrated && context.job.finetuning.method != "none") {
    add("calibrated", calibrated_checkpoint(context).student);
  }
  add("student", newest->student);
  return students;
}

/// This rank's images: every size-th.
std::vector<LabelledImage> own_share(const RunContext& context, const std::vector<LabelledImage>& all) {
  std::vector<LabelledImage> own;
  const auto size = static_cast<size_t>(context.cluster.size());
  for (size_t i = static_cast<size_t>(context.cluster.rank()); i < all.size(); i += size) own.push_back(all[i]);
  return own;
}

/// Counts of the teacher alone (first) and of each student against it, over all ranks; nothing if a stop was requested.
std::optional<std::vector<EvaluationCounts>> count_all(RunContext& context, const std::vector<LabelledImage>& images,
                                                       const std::vector<NamedStudent>& students,
                                                       std::vector<std::string>& undecodable) {
  at::NoGradGuard no_grad;
  const Preprocessing& preprocessing = context.teacher.preprocessing;
  const VisionTransformer teacher = context.teacher_on_device();
  const auto interpolation = preprocessing.interpolation == "bicubic" ? Interpolation::bicubic : Interpolation::bilinear;
  const std::vector<LabelledImage> own = own_share(context, images);
  const auto batch_size = static_cast<size_t>(context.job.evaluation.batch);

  std::vector<EvaluationCounts> counts(1 + students.size());
  Progress progress("evaluate", static_cast<double>(own.size()), "images", context.cluster.is_root());
  for (size_t first = 0; first < own.size() && !context.cluster.stop_requested(); first += batch_size) {
    const size_t size = std::min(batch_size, own.size() - first);
    const LabelledBatch batch = load_batch({own.data() + first, size}, preprocessing.channels(), preprocessing.image_size,
                                           preprocessing.crop_pct, interpolation, undecodable);
    progress.advance(static_cast<double>(size));
    if (context.heartbeat) context.report("evaluate", "", progress);
    if (batch.labels.size(0) == 0) continue;
    const Tensor input = normalise(preprocessing, batch.images.to(context.device()));
    const Tensor reference = forward(teacher, input).cpu();
    counts[0] += count(reference, reference, batch.labels);
    for (size_t s = 0; s < students.size(); ++s) {
      const Tensor logits = forward(students[s].student.model, input, activation_tap(students[s].student)).cpu();
      counts[1 + s] += count(reference, logits, batch.labels);
    }
  }
  context.cluster.wait_for_all();
  if (context.cluster.agree_to_stop()) return std::nullopt;
  for (EvaluationCounts& entry : counts) {
    Tensor sums = entry.to_tensor();
    context.cluster.communicator.all_reduce_sum(sums);
    entry = EvaluationCounts::from_tensor(sums);
  }
  return counts;
}

void put(ordered_json& object, const std::string& name, const Figure& figure) {
  object[name] = figure.value;
  object[name + "_se"] = figure.error;
}

ordered_json teacher_json(const EvaluationFigures& figures) {
  ordered_json object;
  put(object, "top1", figures.teacher_top1);
  put(object, "top5", figures.teacher_top5);
  return object;
}

ordered_json student_json(const EvaluationFigures& figures) {
  const auto counted = [&](int64_t count) {
    const double n = static_cast<double>(count);
    return Figure{n, std::sqrt(n * (1.0 - n / static_cast<double>(figures.images)))};
  };
  ordered_json object;
  put(object, "top1", figures.top1);
  put(object, "top5", figures.top5);
  put(object, "agreement", figures.agreement);
  put(object, "kl", figures.kl);
  put(object, "lost", counted(figures.lost));
  put(object, "gained", counted(figures.gained));
  put(object, "kept", figures.kept);
  return object;
}

std::string student_line(const std::string& name, const EvaluationFigures& f) {
  char line[256];
  std::snprintf(line, sizeof line,
                "  %-11s top-1 %6.2f +- %.2f %%  top-5 %6.2f +- %.2f %%  kept %6.2f +- %.2f %%  agreement %6.2f +- %.2f %%  "
                "KL %.4f +- %.4f  lost %ld gained %ld\n",
                name.c_str(), 100 * f.top1.value, 100 * f.top1.error, 100 * f.top5.value, 100 * f.top5.error,
                100 * f.kept.value, 100 * f.kept.error, 100 * f.agreement.value, 100 * f.agreement.error, f.kl.value,
                f.kl.error, static_cast<long>(f.lost), static_cast<long>(f.gained));
  return line;
}

std::string teacher_line(const EvaluationFigures& f) {
  char line[160];
  std::snprintf(line, sizeof line, "  %-11s top-1 %6.2f +- %.2f %%  top-5 %6.2f +- %.2f %%\n", "teacher",
                100 * f.teacher_top1.value, 100 * f.teacher_top1.error, 100 * f.teacher_top5.value, 100 * f.teacher_top5.error);
  return line;
}

/// Each rank names what it could not read; rank 0 says how many there were in all.
void report_undecodable(const RunContext& context, const std::vector<std::string>& undecodable) {
  for (const std::string& reason : undecodable) log::warn("left out: " + reason);
  const auto total = static_cast<int64_t>(context.cluster.communicator.sum(static_cast<double>(undecodable.size())));
  if (total > 0 && context.cluster.is_root())
    log::warn(std::to_string(total) + " images could not be decoded and were left out");
}

ExitCode evaluate_labelled(RunContext& context, const EvaluateOptions& options) {
  const EvaluationJob& job = context.job.evaluation;
  const std::vector<LabelledImage> images = labelled_images(context);
  const std::vector<NamedStudent> students = options.teacher_only ? std::vector<NamedStudent>{} : students_of(context);
  std::vector<std::string> undecodable;
  const auto all_counts = count_all(context, images, students, undecodable);
  if (!all_counts) return ExitCode::again;
  const std::vector<EvaluationCounts>& counts = *all_counts;
  report_undecodable(context, undecodable);
  if (counts[0].images == 0)
    throw_once(context.cluster.communicator, BadInput(job.images.string() + ": not one image could be decoded"));
  if (!context.cluster.is_root()) return ExitCode::done;

  const EvaluationFigures teacher = figures_of(counts[0]);
  ordered_json object{{"images", teacher.images}, {"teacher", teacher_json(teacher)}};
  if (!students.empty()) object["data_free"] = context.data_free;
  std::string text = std::to_string(teacher.images) + " images from " + job.images.string() + " (+- one standard error)\n" +
                     (context.data_free ? "" : "The student was made from real images (data_free = false).\n") +
                     teacher_line(teacher);
  for (size_t s = 0; s < students.size(); ++s) {
    const EvaluationFigures figures = figures_of(counts[1 + s]);
    object[students[s].name] = student_json(figures);
    text += student_line(students[s].name, figures);
  }
  std::cout << (options.json ? object.dump() + "\n" : text) << std::flush;
  return ExitCode::done;
}

/// Without labelled images: the student against the teacher on held-out synthetic images.
ExitCode evaluate_synthetic(RunContext& context, const EvaluateOptions& options) {
  if (options.teacher_only) {
    throw_once(context.cluster.communicator, BadInput("--teacher-only needs labelled images: set evaluation.images"));
  }
  const std::vector<NamedStudent> students = students_of(context);
  ordered_json object;
  std::string text = "No labelled images (evaluation.images): figures on held-out synthetic images, which are optimistic.\n";
  for (const NamedStudent& entry : students) {
    const HeldOutFigures figures = held_out_figures(context, entry.student);
    object["images"] = figures.images;
    ordered_json fields;
    put(fields, "agreement", figures.agreement);
    put(fields, "kl", figures.kl);
    fields["sqnr_db_per_block"] = figures.sqnr_per_block;
    object[entry.name] = fields;
    text += describe(entry.name, figures);
  }
  object["optimistic"] = true;
  if (context.cluster.is_root()) std::cout << (options.json ? object.dump() + "\n" : text) << std::flush;
  return ExitCode::done;
}

}  // namespace

ExitCode evaluate(RunContext& context, const EvaluateOptions& options) {
  if (context.heartbeat) context.heartbeat->set({"evaluate", ""});
  context.cluster.communicator.barrier();
  return context.job.evaluation.images.empty() ? evaluate_synthetic(context, options) : evaluate_labelled(context, options);
}

}  // namespace eidolon
