#include "synthesis/terms/semantic.h"

namespace eidolon {

Tensor soft_cross_entropy(const Tensor& logits, const Tensor& targets) {
  return -(targets * logits.log_softmax(-1, at::kFloat)).sum(-1);
}

DrawnTerm draw_semantic_term(const TermContext& context) {
  const Tensor targets = context.semantics.image_targets;
  return {.loss = [targets](const Seen& seen) { return soft_cross_entropy(seen.logits, targets); },
          .figure = "semantic_floor",
          .figure_of = [targets](const Seen&) { return -(targets * targets.clamp_min(1e-30).log()).sum(-1); }};
}

}  // namespace eidolon
