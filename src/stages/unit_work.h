// One unit of synthesis, from its claim to its shard.
#pragma once

#include <optional>
#include <vector>

#include "numerics/device_graph.h"
#include "reporting/progress.h"
#include "stages/checkpoint_clock.h"
#include "stages/run_context.h"
#include "synthesis/generator.h"

namespace eidolon {

/// After so long without a heartbeat a unit is made again. It costs nothing but time if its holder lives after all: both make
/// the same bytes.
inline constexpr double unit_stale_seconds = 60;

enum class UnitOutcome {
  made,     ///< its shard is on disk
  left,     ///< another rank or launch is at work on it, or has made it since
  stopped,  ///< its state is on disk, for whoever goes on
};

/// What a rank works with from unit to unit.
struct UnitWorkshop {
  RunContext& context;
  SynthesisTeacher teacher;
  CheckpointClock clock;
  Progress progress;
  std::optional<Generator> generator = {};  ///< which makes the images of the units that are not starts
  Recorder recorder = {};                   ///< empty where the device records nothing, or failed to
};

/// The unit's pixels before its first step: its start, or what the round before made of it. Normalised, on the device.
Tensor first_pixels(const RunContext& context, const Unit& unit);

/// Fault naming unit, iteration and term if a loss is not finite.
UnitOutcome make_unit(UnitWorkshop& workshop, const Unit& unit);

/// Clears away what a rank left that died between a unit's shard and the clean-up. For finished units only.
void sweep_finished(const RunContext& context, const std::vector<Unit>& units);

}  // namespace eidolon
