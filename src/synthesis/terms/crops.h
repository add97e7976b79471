// Multi-semantic reinforcement (SARDFQ, arXiv 2412.16553): each crop of an image shall show a class of its own.
#pragma once

#include "synthesis/terms/term.h"

namespace eidolon {

/// The mean soft cross entropy of an image's crops.
DrawnTerm draw_crop_term(const TermContext& context);

}  // namespace eidolon
