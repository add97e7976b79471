// The labelled images of a job.
#pragma once

#include <string>
#include <vector>

#include "evaluation/image_folder.h"
#include "stages/run_context.h"

namespace eidolon {

struct LabelledSet {
  std::vector<LabelledImage> images;  ///< the same on all ranks, whatever each of them sees of the folder

  // On rank 0 alone.
  int64_t unsupported = 0, misplaced = 0;  ///< pictures that were passed over (ImageListing)
  std::vector<std::string> warnings;       ///< said already
};

/// Empty if the job names none. Rank 0 lists the folder and says once what is wrong with it, or doubtful. Collective.
LabelledSet labelled_images(const RunContext& context);

}  // namespace eidolon
