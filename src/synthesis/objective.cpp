#include "synthesis/objective.h"

#include <string_view>

#include "base/error.h"
#include "synthesis/crops.h"
#include "synthesis/output_statistics.h"

namespace eidolon {

UnitObjective draw_objective(const SynthesisTeacher& teacher, const SynthesisJob& job, const Unit& unit, const Tensor& start) {
  UnitObjective objective;
  objective.unit = unit;
  const Output& output = teacher.plan().output;
  const bool has_classes = output.kind == Output::Kind::classes && shows_classes(job);
  const TeacherShape shape{.classes = has_classes ? output.size : 0, .image_size = teacher.plan().image_size};
  objective.semantics = draw_semantic_targets(job, shape, unit).to(teacher.device());
  objective.valid = valid_pixels(teacher.preprocessing, at::TensorOptions(at::kFloat).device(teacher.device()));
  objective.recordable = objective.semantics.crops() == 0;
  const TermContext context{teacher, job, unit, objective.semantics, start};
  for (const Term& term : terms()) {
    const double weight = term.weight(job, teacher);
    if (weight == 0.0) continue;
    objective.terms.push_back({.name = term.name, .weight = weight, .drawn = term.draw(context)});
    objective.recordable = objective.recordable && objective.terms.back().drawn.recordable;
    objective.reads = objective.reads | term.reads;
    objective.reads_statistics = objective.reads_statistics || term.reads_statistics;
    objective.reads_opponent = objective.reads_opponent || term.reads_opponent;
  }
  if (objective.terms.empty()) {
    throw BadInput(
        "no term of synthesis has a weight with this teacher and job; give one a weight, or set "
        "synthesis.optimised_share = 0");
  }
  return objective;
}

Seen look(const SynthesisTeacher& teacher, const UnitObjective& objective, const Tensor& pixels, const Views& views) {
  const int64_t images = pixels.size(0), crops = objective.semantics.crops();
  std::vector<Tensor> batch{seen_through(views, pixels, teacher.precision())};
  if (crops > 0) batch.push_back(enlarged_quadrants(pixels, objective.semantics.crop_quadrants));
  Seen seen{.pixels = pixels, .logits = {}, .crop_logits = {}, .attention = {}};
  Tap tap = reading_tap(teacher.model, objective.reads, images, seen.attention);
  if (objective.reads_statistics) tap = statistics_tap(teacher.plan(), images, seen.statistics, tap);
  const Tensor logits = forward(teacher.model, at::cat(batch).to(teacher.precision()), tap);
  seen.logits = logits.narrow(0, 0, images);
  if (crops > 0) seen.crop_logits = logits.narrow(0, images, crops);
  if (objective.reads_opponent) seen.opponent_outputs = forward(teacher.opponent->model, batch.front(), teacher.opponent->tap);
  return seen;
}

std::vector<TermLoss> losses_of(const UnitObjective& objective, const Seen& seen) {
  std::vector<TermLoss> losses;
  for (const ActiveTerm& term : objective.terms) losses.push_back({term.name, term.weight, term.drawn.loss(seen)});
  return losses;
}

Tensor weighted_sum(const std::vector<TermLoss>& losses) {
  Tensor sum;
  for (const TermLoss& loss : losses) sum = sum.defined() ? sum + loss.value * loss.weight : loss.value * loss.weight;
  return sum.sum();
}

LossTable loss_table(const UnitObjective& objective, const Seen& seen) {
  LossTable table;
  std::vector<Tensor> columns;
  const auto add = [&](std::string_view name, const Tensor& values) {
    table.names.emplace_back(name);
    columns.push_back(values.detach().to(at::kCPU, at::kFloat));
  };
  for (const ActiveTerm& term : objective.terms) {
    add(term.name, term.drawn.loss(seen));
    if (!term.drawn.figure.empty()) add(term.drawn.figure, term.drawn.figure_of(seen));
  }
  table.values = at::stack(columns, 1).contiguous();
  return table;
}

}  // namespace eidolon
