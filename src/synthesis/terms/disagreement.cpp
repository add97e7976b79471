#include "synthesis/terms/disagreement.h"

#include <algorithm>

#include "base/error.h"
#include "model/readout.h"

namespace eidolon {
namespace {

constexpr double least_reference = 1e-6;  ///< of an opponent that answers as the teacher does
constexpr double most_distance = 1;       ///< that counts, where nothing adapts

Tensor distances_of(const Output& output, const Seen& seen) {
  return mean_absolute_error(output, seen.logits.to(at::kFloat), seen.opponent_outputs);
}

/// Over the start as a whole, unseen through views.
double reference_of(const TermContext& context) {
  const at::NoGradGuard no_gradients;
  const SynthesisTeacher& teacher = context.teacher;
  const Tensor expected = forward(teacher.model, context.start.to(teacher.precision())).to(at::kFloat);
  const Tensor given = forward(teacher.opponent->model, context.start, teacher.opponent->tap);
  return mean_absolute_error(teacher.plan().output, expected, given).mean().item<double>();
}

}  // namespace

Tensor disagreement_loss(const Tensor& distances, double reference, bool adaptive) {
  if (!adaptive) return -distances.clamp_max(most_distance);
  return -at::log1p(distances / std::max(reference, least_reference));
}

DrawnTerm draw_disagreement_term(const TermContext& context) {
  if (context.teacher.opponent == nullptr || !context.start.defined())
    throw Fault("images are to seek disagreement, but there is no student to disagree");
  const bool adaptive = context.job.psaq_v2.adaptive;
  const double reference = adaptive ? reference_of(context) : 0;
  const Output output = context.teacher.plan().output;
  return {.loss = [=](const Seen& seen) { return disagreement_loss(distances_of(output, seen), reference, adaptive); },
          .figure = "distance",
          .figure_of = [=](const Seen& seen) { return distances_of(output, seen); }};
}

}  // namespace eidolon
