#include "synthesis/candidates.h"

#include "synthesis/start.h"

namespace eidolon {
namespace {

/// One per image, higher is better.
Tensor score(const SynthesisTeacher& teacher, const SynthesisJob& job, const Tensor& pixels) {
  const Tensor logits = forward(teacher.model, pixels.to(teacher.precision())).to(at::kFloat);
  return job.filter == "energy" ? logits.logsumexp(-1) : logits.softmax(-1).amax(-1);
}

}  // namespace

Tensor chosen_starts(const SynthesisTeacher& teacher, const SynthesisJob& job, const Unit& unit) {
  const at::NoGradGuard no_gradients;
  const auto candidate = [&](int64_t index) {
    return start_pixels(job, teacher.preprocessing, unit, index).to(teacher.device());
  };
  Tensor chosen = candidate(0);
  if (job.overgenerate == 1) return chosen;
  Tensor best = score(teacher, job, chosen);
  for (int64_t index = 1; index < job.overgenerate; ++index) {
    const Tensor other = candidate(index), rival = score(teacher, job, other);
    chosen = at::where((rival > best).reshape({-1, 1, 1, 1}), other, chosen);
    best = at::maximum(best, rival);
  }
  return chosen;
}

}  // namespace eidolon
