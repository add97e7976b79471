// What the terms of synthesis read in the teacher's attention. The one file of synthesis that asks for nodes of the network.
#pragma once

#include <vector>

#include "model/plan.h"

namespace eidolon {

/// Which parts of each attention are read. Nothing else is kept of the B x H x N x N probabilities.
struct AttentionParts {
  bool class_row = false;
  bool query_and_key = false;
  bool output = false;

  bool any() const { return class_row || query_and_key || output; }
};

AttentionParts operator|(const AttentionParts& a, const AttentionParts& b);

/// What one attention showed of B images; only the parts that were asked for are defined. N tokens, of which P patches.
struct AttentionReading {
  Tensor class_row;   ///< B x H x N, the probabilities of the first token's query; without prefix tokens the mean over queries
  Tensor query, key;  ///< B x H x P x D/H, of the patches
  Tensor output;      ///< B x P x H x D/H, of the patches, head by head
};

/// A Tap that fills `readings`, one entry per attention of `plan`, from the first `images` images of the batch. Both must
/// outlive it. Empty where no part is asked for.
Tap reading_tap(const Plan& plan, const AttentionParts& parts, int64_t images, std::vector<AttentionReading>& readings);

}  // namespace eidolon
