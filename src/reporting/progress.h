// Progress of a long stage: a bar with rate, ETA and losses on a terminal, otherwise a text line now and then.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace eidolon {

/// Named figures to show after the bar, e.g. {{"loss", 1.2}, {"prior", 3e-4}}.
using Figures = std::vector<std::pair<std::string, double>>;

class Progress {
 public:
  /// `total` steps of `unit` ("views", "images", "steps"). Prints nothing if `visible` is false (ranks other than 0).
  Progress(std::string stage, double total, std::string unit, bool visible);
  Progress(Progress&&) noexcept;
  ~Progress();
  void advance(double steps, const Figures& figures = {});
  void done_before(double steps);  ///< work of earlier runs, which counts towards the total but not towards the rate

  // Valid on all ranks, visible or not.
  double done() const;
  double total() const;
  double rate() const;  ///< steps per second of this run
  const std::string& unit() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace eidolon
