// The student against the teacher on held-out synthetic images: what can be said without any labelled image. Optimistic, since
// the teacher itself made the images.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "evaluation/feature_metrics.h"
#include "evaluation/metrics.h"
#include "quantization/student.h"
#include "stages/run_context.h"

namespace eidolon {

struct HeldOutFigures {
  int64_t images = 0;
  EvaluationCounts counts;         ///< of a classifier
  Figure agreement, kl;            ///< of a classifier
  std::vector<PartFigures> parts;  ///< of an encoder
  std::vector<std::optional<double>>
      sqnr_per_block;  ///< dB, of the tokens behind each section of tokens or maps; none where there is no noise
};

/// `student`: with rounded weights, on the device. Collective.
HeldOutFigures held_out_figures(const RunContext& context, const Student& student);

/// Global indices of this rank's share of the held-out images: every size-th.
std::vector<int64_t> held_out_share(const RunContext& context);

nlohmann::ordered_json json_of(const HeldOutFigures& figures);
std::string describe(const std::string& name, const HeldOutFigures& figures);

}  // namespace eidolon
