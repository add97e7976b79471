// Images of a run, sorted by kind: those that were optimised, and those that a rule or somebody made.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "stages/report/reported_run.h"

namespace eidolon {

struct StoredImage {
  int64_t global = 0;
  Tensor bytes;                  ///< uint8 C x S x S
  std::vector<int64_t> classes;  ///< that it was to show; none of images that nothing optimised
};

/// The first images on disk of each kind, `most` at most of each. A kind is "optimised (<method>)", the name of a start that
/// nothing optimised, or where given images come from.
std::map<std::string, std::vector<StoredImage>> images_by_kind(const RecordedRun& run, size_t most);

}  // namespace eidolon
