// The labelled images of a job.
#pragma once

#include <vector>

#include "evaluation/image_folder.h"
#include "stages/run_context.h"

namespace eidolon {

/// Empty if the job names none. What is wrong with the folder is said once, by rank 0. Collective.
std::vector<LabelledImage> labelled_images(const RunContext& context);

}  // namespace eidolon
