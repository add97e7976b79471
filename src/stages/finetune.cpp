#include <cmath>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster/log.h"
#include "finetuning/sampler.h"
#include "finetuning/training.h"
#include "job/mixture.h"
#include "numerics/device_graph.h"
#include "numerics/product_precision.h"
#include "numerics/schedule.h"
#include "reporting/metrics_log.h"
#include "reporting/progress.h"
#include "stages/agreements.h"
#include "stages/checkpoint_store.h"
#include "stages/finetuning_owner.h"
#include "stages/generator_source.h"
#include "stages/held_out_figures.h"
#include "stages/section_caches.h"
#include "stages/shard_set.h"
#include "stages/stage_times.h"
#include "stages/stages.h"
#include "stages/stopwatch.h"
#include "stages/student_source.h"

namespace eidolon {
namespace {

/// Sums the steps' losses over ranks in one message and writes them down. NaN or Inf ends the run.
double report_losses(const Communicator& communicator, MetricsLog& metrics, const TrainingPosition& at,
                     std::vector<Tensor>& losses) {
  Tensor sums = at::stack(losses).to(at::kFloat);
  communicator.all_reduce_sum(sums);
  const Tensor values = sums.cpu();
  const auto count = static_cast<int64_t>(losses.size());
  losses.clear();
  for (int64_t i = 0; i < count; ++i) {
    const int64_t step = at.step - count + 1 + i;
    const double loss = values[i].item<double>();
    if (!std::isfinite(loss)) {
      throw Fault(at.phase + ", step " + std::to_string(step) +
                  ": the loss is not finite; lower the learning rates of [finetuning]");
    }
    metrics.append("finetune/" + at.phase, step, {{"loss", loss}});
  }
  return values[count - 1].item<double>();
}

/// What a launch trains with from phase to phase.
struct Training {
  RunContext& context;
  std::optional<Claim> owner;  ///< on rank 0
  Student& student;
  const Sampler& sampler;
  CheckpointClock clock;
  Progress progress;
};

/// Writes the checkpoint of a step, on rank 0.
void save(Training& training, const TrainingPosition& at, const TensorMap& optimizer) {
  if (!training.owner) return;
  if (!training.owner->still_held()) {
    throw Fault("another launch has taken over the fine-tuning in " + training.context.run.root.string() +
                ", since this one was not heard of for minutes; this one ends");
  }
  training.clock.take([&] { save_checkpoint(training.context, training.student, at, optimizer); });
}

const std::string phase_group = "phase/";  ///< of a phase's own state, in a checkpoint's optimizer group

/// Everything that the phase needs to go on.
TensorMap phase_tensors(const Phase& phase, const std::vector<Trainable>& trainables) {
  TensorMap tensors = optimizer_tensors(trainables);
  for (const auto& [name, tensor] : phase.state()) tensors[phase_group + name] = tensor;
  return tensors;
}

void restore_phase(const TensorMap& tensors, const Phase& phase, std::vector<Trainable>& trainables) {
  restore_optimizer(tensors, trainables);
  TensorMap own;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with(phase_group)) own[name.substr(phase_group.size())] = tensor;
  }
  phase.restore(own);
}

/// Trains the phase that `at` stands in from its phase_step on. Returns false if it was stopped; the checkpoint is then on
/// disk.
bool train_phase(Training& training, const Phase& phase, std::vector<Trainable>& trainables, TrainingPosition& at) {
  RunContext& context = training.context;
  const Sampler& sampler = training.sampler;
  GradientReducer reducer(parameters_of(trainables), context.cluster.communicator, Reduction::overlapped);
  StepGraph graph(phase.name, graph_recorder(context.device()), log::warn);
  MetricsLog metrics(context.run.metrics(), context.cluster.is_root());
  Agreements agreements(context.cluster, training.clock);
  std::vector<Tensor> losses;
  Figures figures;
  const ProductPrecision products(context.job.finetuning.precision.value());

  while (at.phase_step < phase.iterations) {
    const TrainingStep step{.images = sampler.at(at.step),
                            .batch = sampler.batch(),
                            .number = at.phase_step,
                            .rate_factor = warmup_then_cosine(at.phase_step, phase.iterations, 0)};
    losses.push_back(train_step(phase, trainables, reducer, step, &graph));
    phase.after_step(at.phase_step);
    ++at.phase_step;
    ++at.step;
    const bool last = at.phase_step == phase.iterations;
    const AfterStep next = agreements.after_step(last);
    if (std::ssize(losses) == most_steps_apart || last || next != AfterStep::go_on) {
      figures = {{"loss", report_losses(context.cluster.communicator, metrics, at, losses)}};
    }
    training.progress.advance(static_cast<double>(sampler.batch()), figures);
    context.report("finetune", at.phase + " step " + std::to_string(at.phase_step), training.progress);
    if (next != AfterStep::go_on) save(training, at, phase_tensors(phase, trainables));
    if (next == AfterStep::checkpoint_and_stop) return false;
  }
  return true;
}

/// The first of the phases that is not done: that of this name.
size_t phase_index(const std::vector<Phase>& phases, const std::string& name) {
  if (name == "calibrated") return 0;
  for (size_t i = 0; i < phases.size(); ++i) {
    if (phases[i].name == name) return i;
  }
  throw Fault("the checkpoint stands in phase '" + name + "', which this fine-tuning does not have; remove it and run again");
}

void report_outcome(const RunContext& context, const TrainingPosition& at, const PhaseOutcome& outcome) {
  if (!context.cluster.is_root()) return;
  if (!outcome.before || !outcome.trained) return log::info(at.phase + ": no held-out images to ask, what was trained stays");
  char line[200];
  std::snprintf(line, sizeof line, "%s: held-out loss %.5g before, %.5g trained%s", at.phase.c_str(), *outcome.before,
                *outcome.trained, outcome.kept ? "" : "; no better, the former tensors stay");
  log::info(line);
  MetricsLog(context.run.metrics())
      .append("finetune/" + at.phase + "/held_out", at.step,
              {{"before", *outcome.before}, {"trained", *outcome.trained}, {"kept", outcome.kept ? 1.0 : 0.0}});
}

/// What is not kept is computed at every step from the images, or from the last section that is kept: many times the work.
void warn_of_small_cache(const RunContext& context) {
  const int64_t allowed = context.job.run.cache_megabytes, wanted = section_cache_megabytes(context);
  if (wanted <= allowed || context.job.finetuning.iterations == 0 || !context.cluster.is_root()) return;
  log::warn("finetune: to keep the inputs and targets of every section takes " + std::to_string(wanted) +
            " MB a rank, and run.cache_megabytes = " + std::to_string(allowed) +
            " does not hold those of the largest: what it does not hold is computed anew at every step. Remedy: --set "
            "run.cache_megabytes=" +
            std::to_string(wanted) + ", or more ranks");
}

}  // namespace

ExitCode finetune(RunContext& context) {
  const Cluster& cluster = context.cluster;
  const FinetuningJob& job = context.job.finetuning;
  const ShardFiles shards = finished_shards(context);
  std::optional<Claim> owner = own_finetuning(context);
  if (owner) keep_manifest(context);

  std::optional<Checkpoint> newest = newest_checkpoint(context, Damaged::set_aside), first = stored_calibrated(context);
  if (!first) {
    const Stopwatch watch;
    first = calibrate_student(context, shards);
    write_time(context, "finetune/calibrate", watch.seconds());
  }
  if (newest && newest->position.phase == "finished") return ExitCode::done;
  const Checkpoint start = newest ? std::move(*newest) : *first;
  const Student calibrated = first->student.to(context.device());
  Student student = start.student.to(context.device()).clone();
  TrainingPosition at = start.position;
  if (cluster.is_root()) {
    MetricsLog(context.run.metrics()).cut_back("finetune", at.step);
    const SynthesisJob& synthesis = context.job.synthesis;
    log::info("finetune: on " + kinds_of(synthesis, training_units(synthesis)) + "; held out " +
              kinds_of(synthesis, held_out_units(synthesis)));
  }

  const Sampler sampler(job.seed, context.job.synthesis.images, job.batch, cluster.rank(), cluster.size());
  const SyntheticImages images = read_images(shards, sampler.own_images());
  const SyntheticImages held_out = read_images(shards, held_out_share(context));
  warn_of_small_cache(context);
  const Network teacher = context.teacher_on_device();
  const GeneratedImages generated = has_entry(job.distill.images, "generator") ? generated_stream(context) : GeneratedImages();
  const std::vector<Phase> phases = phases_of(
      job, {.teacher = teacher, .student = student, .calibrated = calibrated},
      {.training = images, .held_out = held_out, .preprocessing = context.teacher.preprocessing, .generated = generated},
      cluster.communicator, section_caches(context));

  int64_t steps = 0;
  for (const Phase& phase : phases) steps += phase.iterations;
  Training training{
      .context = context,
      .owner = std::move(owner),
      .student = student,
      .sampler = sampler,
      .clock = CheckpointClock(context.job.run),
      .progress = Progress("finetune", static_cast<double>(steps * sampler.batch()), "images", cluster.is_root())};
  training.progress.done_before(static_cast<double>(at.step * sampler.batch()));
  for (size_t i = phase_index(phases, at.phase); i < phases.size(); ++i) {
    const Phase& phase = phases[i];
    at.phase = phase.name;
    const Stopwatch watch;
    std::vector<Trainable> trainables = phase.begin();
    if (at.phase_step > 0) restore_phase(start.optimizer, phase, trainables);
    if (!train_phase(training, phase, trainables, at)) return ExitCode::again;
    freeze(trainables);
    report_outcome(context, at, phase.conclude(trainables));
    write_time(context, "finetune/" + at.phase, watch.seconds());
    at.phase_step = 0;
  }
  at.phase = "finished";
  save(training, at, {});
  cluster.communicator.barrier();
  return ExitCode::done;
}

}  // namespace eidolon
