// Teacher and students on the labelled images of the job: accuracy, and which classes flip.
#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "evaluation/metrics.h"
#include "stages/figure_text.h"
#include "stages/labelled_pass.h"
#include "stages/labelled_set.h"
#include "stages/report/parts.h"

namespace eidolon::parts {
namespace {

using nlohmann::ordered_json;

constexpr size_t most_pairs = 40, most_classes = 40;

/// Images at even distances in the list, which is sorted by class.
std::vector<LabelledImage> spread(const std::vector<LabelledImage>& all, int64_t limit) {
  const auto count = static_cast<int64_t>(all.size());
  if (count <= limit) return all;
  std::vector<LabelledImage> some;
  for (int64_t i = 0; i < limit; ++i) some.push_back(all[static_cast<size_t>(i * count / limit)]);
  return some;
}

struct ClassCount {
  int64_t images = 0, teacher_right = 0, student_right = 0, lost = 0, gained = 0;
};

/// Of one student.
struct Answers {
  EvaluationCounts counts;
  std::map<int64_t, ClassCount> classes;
  std::map<std::vector<int64_t>, int64_t> flips;  ///< (label, teacher's answer, student's answer), where the answers differ
};

void add(const Tensor& teacher, const Tensor& student, const Tensor& labels, Answers& answers) {
  answers.counts += count(teacher, student, labels);
  const Tensor from = teacher.argmax(-1), to = student.argmax(-1);
  for (int64_t i = 0; i < labels.size(0); ++i) {
    const auto label = labels[i].item<int64_t>(), a = from[i].item<int64_t>(), b = to[i].item<int64_t>();
    ClassCount& of_class = answers.classes[label];
    ++of_class.images;
    of_class.teacher_right += a == label ? 1 : 0;
    of_class.student_right += b == label ? 1 : 0;
    of_class.lost += a == label && b != label ? 1 : 0;
    of_class.gained += a != label && b == label ? 1 : 0;
    if (a != b) ++answers.flips[{label, a, b}];
  }
}

ordered_json figures_json(const EvaluationFigures& f) {
  return json_of({{"top1", f.top1},
                  {"top5", f.top5},
                  {"agreement", f.agreement},
                  {"kl", f.kl},
                  {"retained", f.retained},
                  {"kept", f.kept}});
}

ordered_json flips_json(const MeasuredRun& run, const Answers& answers) {
  std::vector<std::pair<std::vector<int64_t>, int64_t>> pairs(answers.flips.begin(), answers.flips.end());
  std::ranges::stable_sort(pairs, std::ranges::greater(), &std::pair<std::vector<int64_t>, int64_t>::second);
  ordered_json list = ordered_json::array(), classes = ordered_json::array();
  int64_t all = 0;
  for (const auto& [pair, times] : pairs) {
    all += times;
    if (list.size() == most_pairs) continue;
    list.push_back({{"label", run.class_name(pair[0])},
                    {"teacher", run.class_name(pair[1])},
                    {"student", run.class_name(pair[2])},
                    {"images", times}});
  }
  std::vector<std::pair<int64_t, ClassCount>> counts(answers.classes.begin(), answers.classes.end());
  std::ranges::stable_sort(counts, std::ranges::greater(),
                           [](const auto& entry) { return entry.second.lost + entry.second.gained; });
  for (const auto& [label, of_class] : counts) {
    if (of_class.lost + of_class.gained == 0 || classes.size() == most_classes) break;
    classes.push_back({{"class", run.class_name(label)},
                       {"images", of_class.images},
                       {"teacher_right", of_class.teacher_right},
                       {"student_right", of_class.student_right},
                       {"lost", of_class.lost},
                       {"gained", of_class.gained}});
  }
  return {{"flipped", all}, {"pairs", list}, {"pairs_in_all", pairs.size()}, {"classes", classes}};
}

}  // namespace

ordered_json labelled(const MeasuredRun& run) {
  const RunContext& context = run.context;
  if (context.job.evaluation.images.empty()) throw BadInput("the job names no labelled images");
  if (run.labelled_limit == 0) throw BadInput("--labelled-images 0 left them out");
  if (context.teacher.model.plan->output.kind != Output::Kind::classes)
    throw BadInput("the teacher has no classes, so none can flip");
  const LabelledSet set = labelled_images(context);
  const std::vector<LabelledImage> images = spread(set.images, run.labelled_limit);
  const Network teacher = context.teacher_on_device();
  std::vector<Student> students;
  for (const ReportedStudent& entry : run.students) students.push_back(with_rounded_weights(entry.student));
  EvaluationCounts of_teacher;
  std::vector<Answers> answers(students.size());
  std::vector<std::string> undecodable;
  const bool finished = pass_over(context, images, undecodable, [&](const LabelledInput& batch) {
    const Tensor expected = forward(teacher, batch.images).cpu(), labels = batch.labels.cpu();
    of_teacher += count(expected, expected, labels);
    for (size_t s = 0; s < students.size(); ++s)
      add(expected, forward(students[s].model, batch.images, activation_tap(students[s])).cpu(), labels, answers[s]);
  });
  if (!finished) throw BadInput("a signal stopped the pass over labelled images");
  if (of_teacher.images == 0) throw BadInput(context.job.evaluation.images.string() + ": not one image could be decoded");
  const EvaluationFigures figures = figures_of(of_teacher);
  ordered_json json{{"measured_on", "labelled"},
                    {"images", figures.images},
                    {"in_all", set.images.size()},
                    {"undecodable", undecodable.size()},
                    {"folder", context.job.evaluation.images.string()},
                    {"warnings", set.warnings},
                    {"teacher", json_of({{"top1", figures.teacher_top1}, {"top5", figures.teacher_top5}})}};
  for (size_t s = 0; s < students.size(); ++s) {
    json["students"][run.students[s].name] = figures_json(figures_of(answers[s].counts));
    json["flips"][run.students[s].name] = flips_json(run, answers[s]);
  }
  return json;
}

}  // namespace eidolon::parts
