// One launch at a time fine-tunes in a run directory.
#pragma once

#include <optional>

#include "cluster/liveness/claim.h"
#include "stages/run_context.h"

namespace eidolon {

/// Takes finetuning.owner.json, on rank 0, for as long as the result lives; the other ranks get nothing. BadInput naming the
/// owner if another launch lives; a dead one's file is taken over. Collective.
std::optional<Claim> own_finetuning(const RunContext& context);

/// BadInput naming the owner if another launch lives. Only looks.
void refuse_owned_finetuning(const RunContext& context);

}  // namespace eidolon
