// Students against the teacher on synthetic images: answers, the error behind each section, and which answers flip.
#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "evaluation/feature_metrics.h"
#include "evaluation/metrics.h"
#include "model/readout.h"
#include "stages/figure_text.h"
#include "stages/report/parts.h"

namespace eidolon::parts {
namespace {

using nlohmann::ordered_json;

constexpr int64_t batch_size = 16;

/// Sums over images behind one section.
struct SectionSums {
  double signal = 0, noise = 0, cosine = 0;
};

struct Look {
  std::vector<SectionSums> sections;
  std::vector<Tensor> wanted, given;  ///< outputs of teacher and student, B x output.size
};

void add_section(Layout layout, const Tensor& wanted, const Tensor& given, SectionSums& sums) {
  sums.signal += wanted.square().sum(at::kDouble).item<double>();
  sums.noise += (wanted - given).square().sum(at::kDouble).item<double>();
  sums.cosine += mean_cosine(layout, wanted, given).sum(at::kDouble).item<double>();
}

Look look_at(const MeasuredRun& run, const Tensor& bytes, const Student& student) {
  const Network teacher = run.context.teacher_on_device();
  const Student rounded = with_rounded_weights(student);
  Look look;
  look.sections.resize(teacher.plan->sections.size());
  for (int64_t first = 0; first < bytes.size(0); first += batch_size) {
    const Tensor batch = bytes.narrow(0, first, std::min(batch_size, bytes.size(0) - first));
    const Tensor input = normalise(run.context.teacher.preprocessing, batch.to(run.context.device()));
    const std::vector<Tensor> wanted = forward_outputs(teacher, input);
    const std::vector<Tensor> given = forward_outputs(rounded.model, input, activation_tap(rounded));
    for (size_t section = 0; section < wanted.size(); ++section)
      add_section(teacher.plan->sections[section].output, wanted[section], given[section], look.sections[section]);
    look.wanted.push_back(output_of(teacher, wanted).cpu());
    look.given.push_back(output_of(rounded.model, given).cpu());
  }
  return look;
}

/// null where the student's output is the teacher's, or is no number.
ordered_json decibels(const SectionSums& sums) {
  const double value = 10 * std::log10(sums.signal / sums.noise);
  return std::isfinite(value) ? ordered_json(value) : ordered_json();
}

ordered_json figures_json(const Output& output, const Look& look) {
  const Tensor wanted = at::cat(look.wanted), given = at::cat(look.given);
  if (output.kind == Output::Kind::classes) {
    const EvaluationFigures figures = figures_of(count(wanted, given, wanted.argmax(-1)));
    return json_of({{"agreement", figures.agreement}, {"kl", figures.kl}});
  }
  const auto images = static_cast<double>(wanted.size(0));
  ordered_json json;
  for (const PartFigures& part : figures_of(output, sums_of(feature_errors(output, wanted, given)), images))
    json["parts"][part.part] = json_of({{"cosine", part.cosine}, {"relative_error", part.relative_error}});
  return json;
}

ordered_json flips_json(const MeasuredRun& run, const std::vector<int64_t>& global, const Look& look) {
  const Tensor wanted = at::cat(look.wanted).softmax(-1), given = at::cat(look.given).softmax(-1);
  const Tensor from = wanted.argmax(-1), to = given.argmax(-1);
  ordered_json list = ordered_json::array();
  for (int64_t i = 0; i < from.size(0); ++i) {
    const auto a = from[i].item<int64_t>(), b = to[i].item<int64_t>();
    if (a == b) continue;
    list.push_back({{"image", global[static_cast<size_t>(i)]},
                    {"teacher", run.class_name(a)},
                    {"teacher_probability", wanted[i][a].item<double>()},
                    {"student", run.class_name(b)},
                    {"student_probability", given[i][b].item<double>()}});
  }
  return list;
}

}  // namespace

ordered_json synthetic(const MeasuredRun& run) {
  const at::NoGradGuard no_grad;
  if (!run.images) throw BadInput("no synthetic image is on disk");
  const ReportedImages& seen = *run.images;
  if (run.students.empty()) throw BadInput("no student could be read; there is none yet, or the warnings say why");
  const Plan& plan = *run.context.teacher.model.plan;
  const auto images = static_cast<double>(seen.global.size());
  ordered_json sections = ordered_json::array();
  for (const Section& section : plan.sections) sections.push_back({{"name", section.name}});
  ordered_json json{{"measured_on", "synthetic"}, {"images", seen.global.size()}, {"what", seen.what}};
  for (const ReportedStudent& entry : run.students) {
    const Look look = look_at(run, seen.bytes, entry.student);
    json["students"][entry.name] = figures_json(plan.output, look);
    json["students"][entry.name]["phase"] = entry.phase;
    if (plan.output.kind == Output::Kind::classes) json["flips"][entry.name] = flips_json(run, seen.global, look);
    for (size_t i = 0; i < look.sections.size(); ++i) {
      sections[i][entry.name] = {{"sqnr_db", decibels(look.sections[i])}, {"cosine", look.sections[i].cosine / images}};
    }
  }
  json["sections"] = sections;
  return json;
}

}  // namespace eidolon::parts
