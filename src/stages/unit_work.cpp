#include "stages/unit_work.h"

#include <cmath>
#include <filesystem>
#include <numeric>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"
#include "cluster/liveness/claim.h"
#include "cluster/log.h"
#include "finetuning/synthetic_images.h"
#include "job/format_version.h"
#include "job/synthesis_methods.h"
#include "reporting/metrics_log.h"
#include "stages/growth_frames.h"
#include "stages/stage_times.h"
#include "stages/stopwatch.h"
#include "storage/atomic_file.h"
#include "storage/tensor_archive.h"
#include "synthesis/enlargement.h"
#include "synthesis/optimization.h"
#include "synthesis/start.h"

namespace eidolon {
namespace {

constexpr int64_t log_interval = 10;     ///< iterations between looks at the losses (each look waits for the device)
constexpr int64_t fewest_recorded = 20;  ///< iterations that a recording is for, which costs as much as several

std::string unit_name(const Unit& unit) {
  return "unit " + std::to_string(unit.first);
}

std::vector<int64_t> global_indices(const Unit& unit) {
  std::vector<int64_t> indices(static_cast<size_t>(unit.images));
  std::iota(indices.begin(), indices.end(), unit.first);
  return indices;
}

Claimant maker(const RunContext& context) {
  return context.claimant(synthesis_facts(context.job, context.identity));
}

/// Named means over the unit's images.
Figures figures_of(const std::vector<TermLoss>& losses, const Unit& unit, int64_t iteration) {
  Figures figures;
  for (const TermLoss& loss : losses) {
    const double mean = loss.value.detach().mean().item<double>();
    if (!std::isfinite(mean)) {
      throw Fault(unit_name(unit) + ", iteration " + std::to_string(iteration) + ": the loss term '" + std::string(loss.name) +
                  "' is not finite; lower synthesis.learning_rate or use precision = \"fp32\"");
    }
    figures.emplace_back(loss.name, mean);
  }
  return figures;
}

/// Optimises the unit from where it stands. Returns false if it was stopped; its state is then on disk.
bool optimise(UnitWorkshop& workshop, const Unit& unit, const UnitObjective& objective, UnitState& state) {
  RunContext& context = workshop.context;
  const SynthesisJob& job = context.job.synthesis;
  const double views = views_per_iteration(job, unit);
  MetricsLog metrics(context.run.synthesis_metrics(context.cluster.launch), context.cluster.is_root());

  const int64_t iterations = iterations_of(job);
  const bool is_long = iterations - state.iteration >= fewest_recorded;
  StepGraph graph("synthesize", is_long ? workshop.recorder : Recorder(), log::warn);
  while (state.iteration < iterations) {
    const std::vector<TermLoss> losses = optimise_once(workshop.teacher, job, objective, state, &graph);
    Figures figures;
    if (state.iteration % log_interval == 0 || state.iteration == iterations) {
      figures = figures_of(losses, unit, state.iteration);
      metrics.append("synthesize/" + unit_name(unit), state.iteration, figures);
    }
    keep_growth_frame(context, unit, state);
    workshop.progress.advance(views, figures);
    context.report("synthesize", unit_name(unit) + " iteration " + std::to_string(state.iteration), workshop.progress);
    const bool stop = context.cluster.stop_requested() && state.iteration < iterations;
    if (stop || workshop.clock.due()) {
      workshop.clock.take([&] { write_unit_state(context.run.unit_state(unit.first), state, context.shard_owner()); });
    }
    if (stop) return false;
  }
  if (is_long && graph.is_plain()) workshop.recorder = nullptr;  // other units' iterations cannot be recorded either
  return true;
}

/// The state another start left, or a new one from `first`.
UnitState state_of(UnitWorkshop& workshop, const Unit& unit, const Tensor& first) {
  const RunContext& context = workshop.context;
  const std::filesystem::path file = context.run.unit_state(unit.first);
  auto resumed = read_unit_state(file, context.shard_owner(), context.device());
  const Preprocessing& images = workshop.teacher.preprocessing;
  const std::vector<int64_t> shape{unit.images, images.channels(), images.image_size, images.image_size};
  if (resumed && resumed->pixels.sizes() == at::IntArrayRef(shape)) return std::move(*resumed);
  if (std::filesystem::exists(file)) {
    log::warn(file.string() + " is damaged, or of another job or format version than " + std::to_string(format_version) + "; " +
              unit_name(unit) + " starts anew");
  }
  return start_unit(workshop.teacher, first);
}

/// Nothing if it was stopped.
std::optional<ImageShard> optimised_shard(UnitWorkshop& workshop, const Unit& unit) {
  const SynthesisJob& job = workshop.context.job.synthesis;
  const Tensor first = first_pixels(workshop.context, unit);
  const UnitObjective objective = draw_objective(workshop.teacher, job, unit, first);
  UnitState state = state_of(workshop, unit, first);
  workshop.progress.done_before(static_cast<double>(state.iteration) * views_per_iteration(job, unit));
  if (!optimise(workshop, unit, objective, state)) return std::nullopt;
  state.pixels = as_enlarged(job, unit, state.pixels);
  return finished_shard(workshop.teacher, unit, objective, state);
}

/// Nothing of it is optimised: an image is what the generator makes of its index.
ImageShard generated_shard(const UnitWorkshop& workshop, const Generator& generator, const Unit& unit) {
  const at::NoGradGuard no_grad;
  const SynthesisJob& job = workshop.context.job.synthesis;
  const SynthesisTeacher& teacher = workshop.teacher;
  const UnitObjective objective = draw_objective(teacher, job, unit);
  Conditions conditions = image_conditions(job.seed, teacher.plan().output.size, global_indices(unit), 0);
  // The class is the one that the shard's labels state.
  conditions.classes = objective.semantics.classes.select(1, 0).to(at::kLong);
  const Tensor pixels = generate(generator, conditions.to(teacher.device()), teacher.preprocessing, teacher.precision());
  return finished_shard(teacher, unit, objective, start_unit(teacher, as_enlarged(job, unit, pixels)));
}

}  // namespace

Tensor first_pixels(const RunContext& context, const Unit& unit) {
  const Preprocessing& preprocessing = context.teacher.preprocessing;
  if (context.round_before == nullptr) return start_pixels(context.job.synthesis, preprocessing, unit).to(context.device());
  const ShardFiles files{{{context.round_before->shard(unit), unit.first, unit.last()}}, context.job.run.shard_wait_seconds};
  return normalise(preprocessing, read_images(files, global_indices(unit)).bytes.to(context.device()));
}

UnitOutcome make_unit(UnitWorkshop& workshop, const Unit& unit) {
  const RunContext& context = workshop.context;
  const SynthesisJob& job = context.job.synthesis;
  const auto claim = Claim::take(context.claim_of(unit), maker(context), unit_stale_seconds);
  if (!claim) return UnitOutcome::left;
  if (verify_archive(context.shard(unit)) == ArchiveState::sound) return UnitOutcome::left;
  const Stopwatch watch;
  for (const auto& file : {context.run.unit_state(unit.first), context.shard(unit)}) {
    remove_parts(file.parent_path(), file.filename().string());
  }

  std::optional<ImageShard> shard = !is_optimised(job, unit) ? start_shard(workshop.teacher, job, unit)
                                    : workshop.generator     ? generated_shard(workshop, *workshop.generator, unit)
                                                             : optimised_shard(workshop, unit);
  if (!shard) return UnitOutcome::stopped;
  if (images_are_starts(job) || workshop.generator) workshop.progress.advance(static_cast<double>(unit.images));
  stamp(*shard, job, unit, context.teacher.preprocessing, context.shard_owner());
  write_shard(context.shard(unit), *shard);
  write_time(context, "synthesize/" + unit_name(unit), watch.seconds());
  std::error_code gone;  // by another finisher of the same unit
  std::filesystem::remove(context.run.unit_state(unit.first), gone);
  return UnitOutcome::made;
}

void sweep_finished(const RunContext& context, const std::vector<Unit>& units) {
  if (!context.cluster.is_root()) return;
  std::error_code ignored;  // what cannot be removed costs space, nothing else
  for (const Unit& unit : units) {
    std::filesystem::remove(context.run.unit_state(unit.first), ignored);
    const std::filesystem::path claim = context.claim_of(unit);
    if (holder_of(claim)) Claim::take(claim, maker(context), unit_stale_seconds);  // a dead one's, and at once released
  }
}

}  // namespace eidolon
