// The text of the progress display, as pure functions that tests can check.
#pragma once

#include <string>

#include "reporting/progress.h"

namespace eidolon {

struct ProgressState {
  std::string stage;
  std::string unit;
  double total = 0;
  double done = 0;     ///< including earlier runs
  double before = 0;   ///< done by earlier runs
  double seconds = 0;  ///< since the start of this run
  Figures figures;
};

/// A duration as "42 s", "3:07 min", "2:05 h" or "3 d 04 h"; "?" if not known.
std::string duration_text(double seconds);

/// "synthesize: 128/256 views (50 %), 3.2 views/s, 40 s left, loss 1.23, prior 0.0003". The rate is that of
/// this run alone.
std::string progress_line(const ProgressState& state);

/// The same with a bar, truncated to `columns`: "synthesize [=======>      ] 50 % 128/256 views  3.2 views/s  40 s left
///  loss 1.23".
std::string progress_bar(const ProgressState& state, int columns);

}  // namespace eidolon
