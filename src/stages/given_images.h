// Images that nobody synthesizes: shards made elsewhere, for comparison (synthesis.method = "given").
#pragma once

#include "stages/run_context.h"

namespace eidolon {

/// Takes identity and `data_free` from the first shard. BadInput if there is none, or if its images have another size than the
/// teacher's. Collective.
void adopt_given_images(RunContext& context);

}  // namespace eidolon
