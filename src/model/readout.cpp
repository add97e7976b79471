#include "model/readout.h"

#include <vector>

namespace eidolon {
namespace {

constexpr double smallest_norm = 1e-12;

Tensor log_probabilities(const Tensor& logits, double temperature) {
  return (temperature == 1.0 ? logits : logits / temperature).log_softmax(-1);
}

Tensor all_parts_cosine(const Output& output, const Tensor& teacher, const Tensor& student) {
  if (output.parts.empty()) return mean_cosine(Layout::vector, teacher, student);
  Tensor sum;
  for (size_t part = 0; part < output.parts.size(); ++part) {
    const Layout layout = output.parts[part].layout;
    const Tensor one = mean_cosine(layout, part_of(output, part, teacher), part_of(output, part, student));
    sum = sum.defined() ? sum + one : one;
  }
  return sum / static_cast<double>(output.parts.size());
}

}  // namespace

Tensor part_of(const Output& output, size_t part, const Tensor& outputs) {
  int64_t first = 0;
  for (size_t before = 0; before < part; ++before) first += output.parts[before].elements();
  std::vector<int64_t> shape = output.parts.at(part).shape;
  shape.insert(shape.begin(), outputs.size(0));
  return outputs.narrow(1, first, output.parts[part].elements()).reshape(shape);
}

Tensor mean_cosine(Layout layout, const Tensor& teacher, const Tensor& student) {
  const int64_t channels = layout == Layout::maps ? 1 : -1;
  const Tensor cosines = at::cosine_similarity(teacher, student, channels, smallest_norm);
  return layout == Layout::vector ? cosines : cosines.flatten(1).mean(1);
}

Tensor divergence(const Output& output, const Tensor& teacher, const Tensor& student, double temperature) {
  if (output.kind == Output::Kind::features) return 1 - all_parts_cosine(output, teacher, student);
  const Tensor expected = log_probabilities(teacher, temperature);
  return (expected.exp() * (expected - log_probabilities(student, temperature))).sum(-1);
}

Tensor mean_absolute_error(const Output& output, const Tensor& teacher, const Tensor& student) {
  if (output.kind == Output::Kind::classes) return (student - teacher).abs().mean(-1);
  const auto relative = [](const Tensor& exact, const Tensor& given) {
    return (given - exact).abs().flatten(1).mean(1) / exact.abs().flatten(1).mean(1).clamp_min(smallest_norm);
  };
  if (output.parts.empty()) return relative(teacher, student);
  std::vector<Tensor> errors;
  for (size_t part = 0; part < output.parts.size(); ++part)
    errors.push_back(relative(part_of(output, part, teacher), part_of(output, part, student)));
  return at::stack(errors).mean(0);
}

Tensor relative_squared_error(const Tensor& teacher, const Tensor& student) {
  const Tensor energy = teacher.square().flatten(1).sum(1).clamp_min(smallest_norm);
  return (student - teacher).square().flatten(1).sum(1) / energy;
}

}  // namespace eidolon
