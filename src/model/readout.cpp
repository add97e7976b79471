#include "model/readout.h"

namespace eidolon {
namespace {

constexpr double smallest_norm = 1e-12;

Tensor log_probabilities(const Tensor& logits, double temperature) {
  return (temperature == 1.0 ? logits : logits / temperature).log_softmax(-1);
}

}  // namespace

Tensor divergence(const Output& output, const Tensor& teacher, const Tensor& student, double temperature) {
  if (output.kind == Output::Kind::features) return 1 - at::cosine_similarity(teacher, student, -1, smallest_norm);
  const Tensor expected = log_probabilities(teacher, temperature);
  return (expected.exp() * (expected - log_probabilities(student, temperature))).sum(-1);
}

Tensor relative_squared_error(const Tensor& teacher, const Tensor& student) {
  const Tensor energy = teacher.square().flatten(1).sum(1).clamp_min(smallest_norm);
  return (student - teacher).square().flatten(1).sum(1) / energy;
}

}  // namespace eidolon
