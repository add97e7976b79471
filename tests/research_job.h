// The settings of quantization under which most tests of quantizers run: every node has one.
#pragma once

#include "job/job.h"

namespace eidolon {

inline QuantizationJob research_job() {
  QuantizationJob job;
  job.recipe = "research";
  return job;
}

}  // namespace eidolon
