#include <cmath>

#include "cluster/log.h"
#include "reporting/metrics_log.h"
#include "reporting/progress.h"
#include "stages/shard_set.h"
#include "stages/stages.h"
#include "stages/stopwatch.h"
#include "synthesis/optimization.h"

namespace eidolon {
namespace {

constexpr int64_t log_interval = 10;  ///< iterations between looks at the losses (each look waits for the device)

std::string unit_name(const Unit& unit) {
  return "unit " + std::to_string(unit.first);
}

/// Named means over the unit's images. NaN or Inf ends the run: it names the unit, the iteration and the term.
Figures figures_of(const LossTerms& terms, const Unit& unit, int64_t iteration) {
  Figures figures;
  const auto add = [&](const char* name, const Tensor& term) {
    if (!term.defined()) return;
    const double mean = term.detach().mean().item<double>();
    if (!std::isfinite(mean)) {
      throw Fault(unit_name(unit) + ", iteration " + std::to_string(iteration) + ": the loss term '" + name +
                  "' is not finite; lower synthesis.learning_rate or use precision = \"fp32\"");
    }
    figures.emplace_back(name, mean);
  };
  add("semantic", terms.semantic);
  add("crops", terms.crops);
  add("prior", terms.prior);
  add("variation", terms.variation);
  return figures;
}

/// Optimises one unit from where it stands. Returns false if it was stopped; its state is then on disk.
bool synthesize_unit(RunContext& context, const SynthesisTeacher& teacher, const Unit& unit, const UnitObjective& objective,
                     UnitState& state, Progress& progress) {
  const SynthesisJob& job = context.job.synthesis;
  const std::filesystem::path state_file = context.run.unit_state(unit.first);
  const double views = static_cast<double>(unit.images + objective.semantics.crops());
  MetricsLog metrics(context.run.metrics(), context.cluster.is_root());
  Stopwatch since_checkpoint;

  while (state.iteration < job.iterations) {
    const LossTerms terms = optimise_once(teacher, job, objective, state);
    Figures figures;
    if (state.iteration % log_interval == 0 || state.iteration == job.iterations) {
      figures = figures_of(terms, unit, state.iteration);
      metrics.append("synthesize/" + unit_name(unit), state.iteration, figures);
      context.heartbeat->set({"synthesize", unit_name(unit) + " iteration " + std::to_string(state.iteration)});
    }
    progress.advance(views, figures);
    const bool stop = context.cluster.stop_requested() && state.iteration < job.iterations;
    if (stop || since_checkpoint.seconds() > context.job.run.checkpoint_seconds) {
      write_unit_state(state_file, state, context.shard_owner());
      since_checkpoint.restart();
    }
    if (stop) return false;
  }
  return true;
}

ImageShard make_shard(RunContext& context, const SynthesisTeacher& teacher, const Unit& unit, Progress& progress,
                      bool& finished) {
  const SynthesisJob& job = context.job.synthesis;
  if (job.method == "gaussian") return noise_shard(job, teacher.preprocessing, unit);

  const UnitObjective objective = draw_objective(teacher, job, unit);
  const std::filesystem::path state_file = context.run.unit_state(unit.first);
  auto resumed = read_unit_state(state_file, context.shard_owner(), context.device());
  if (!resumed && std::filesystem::exists(state_file)) {
    log::warn(state_file.string() + " is damaged or of another job; " + unit_name(unit) + " starts anew");
  }
  UnitState state = resumed ? std::move(*resumed) : start_unit(teacher, job, unit);
  MetricsLog(context.run.metrics(), context.cluster.is_root()).cut_back("synthesize/" + unit_name(unit), state.iteration);
  progress.done_before(static_cast<double>(state.iteration * (unit.images + objective.semantics.crops())));
  finished = synthesize_unit(context, teacher, unit, objective, state, progress);
  return finished ? finished_shard(teacher, job, unit, objective, state) : ImageShard{};
}

/// Views of one rank's share: a view is one forward and input gradient of one image or crop.
double views_of(const SynthesisJob& job, const std::vector<Unit>& share) {
  double views = 0;
  for (const Unit& unit : share) {
    for (int64_t image = unit.first; image <= unit.last(); ++image) {
      views += static_cast<double>(job.iterations) * static_cast<double>(1 + (job.crops ? 1 + image % job.crops : 0));
    }
  }
  return views;
}

}  // namespace

ExitCode synthesize(RunContext& context) {
  const SynthesisJob& job = context.job.synthesis;
  const Cluster& cluster = context.cluster;
  const std::vector<Unit> missing = units_without_shard(context);
  const std::vector<Unit> share = share_of(missing, cluster.rank(), cluster.size());
  if (cluster.is_root()) {
    log::info("synthesize: " + std::to_string(units_of(job).size()) + " units of " + std::to_string(job.unit_images) +
              " images, " + std::to_string(missing.size()) + " to make on " + std::to_string(cluster.size()) + " ranks" +
              (static_cast<size_t>(cluster.size()) > missing.size() && !missing.empty()
                   ? "; more ranks than units, some are idle"
                   : ""));
  }
  if (share.empty() && !missing.empty())
    log::info("more ranks than units: rank " + std::to_string(cluster.rank()) + " is idle");

  const SynthesisTeacher teacher = context.synthesis_teacher();
  Progress progress("synthesize", views_of(job, share), "views", cluster.is_root() && !share.empty());
  bool finished = true;
  for (const Unit& unit : share) {
    ImageShard shard = make_shard(context, teacher, unit, progress, finished);
    if (!finished) break;
    stamp(shard, job, teacher.preprocessing, context.shard_owner());
    write_shard(context.shard(unit), shard);
    std::filesystem::remove(context.run.unit_state(unit.first));
  }
  return cluster.communicator.max(finished ? 0 : 1) == 0 ? ExitCode::done : ExitCode::again;
}

}  // namespace eidolon
