#include "synthesis/terms/crops.h"

#include "synthesis/terms/semantic.h"

namespace eidolon {

DrawnTerm draw_crop_term(const TermContext& context) {
  const Tensor targets = context.semantics.crop_targets, shares = context.semantics.crop_shares;
  return {
      .loss = [targets, shares](const Seen& seen) { return at::mv(shares, soft_cross_entropy(seen.crop_logits, targets)); }};
}

}  // namespace eidolon
