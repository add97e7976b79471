// The memory that fine-tuning keeps sections' inputs and targets in.
#pragma once

#include "finetuning/cache_budget.h"
#include "stages/run_context.h"

namespace eidolon {

/// Collective. What holds all of them, in MB, on the rank that has the most images; 0 where there are no sections to train.
int64_t section_cache_megabytes(const RunContext& context);

/// What run.cache_megabytes allows this rank.
CacheBudget section_caches(const RunContext& context);

}  // namespace eidolon
