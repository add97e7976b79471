#include "synthesis/terms/batch_statistics.h"

#include <string>

#include "base/error.h"

namespace eidolon {

Tensor statistics_loss(const std::vector<Tensor>& found, const std::vector<Tensor>& kept) {
  constexpr double smallest_share = 1e-3;
  Tensor sum;
  for (size_t layer = 0; layer < found.size(); ++layer) {
    const Tensor wanted = kept[layer].to(at::kFloat), mean = wanted[0];
    const Tensor deviation = at::maximum(wanted[1], (wanted[1].max() * smallest_share).clamp_min(1e-12));
    const Tensor offset = (found[layer][0] - mean) / deviation, spread = found[layer][1] / deviation - 1;
    const Tensor loss = (offset.square() + spread.square()).mean();
    sum = sum.defined() ? sum + loss : loss;
  }
  return sum / static_cast<double>(found.size());
}

DrawnTerm draw_statistics_term(const TermContext& context) {
  std::vector<Tensor> kept;
  for (const Product& product : context.teacher.plan().products) {
    if (!product.statistics.empty()) kept.push_back(context.teacher.model[product.statistics]);
  }
  if (kept.empty())
    throw BadInput("synthesis.batchnorm_weight is of statistics, and the teacher has no BatchNorm; set it to 0");
  return {.loss = [kept](const Seen& seen) { return statistics_loss(seen.statistics, kept).expand({seen.pixels.size(0)}); }};
}

}  // namespace eidolon
